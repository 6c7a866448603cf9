// Classify a file of images through LiteRT's C API, as an app on a phone does.
//
//     classify MODEL.tflite IMAGES SCORES
//
// IMAGES holds the bytes of as many input tensors as there are; SCORES gets the bytes of as many output tensors.
// Prints the names of the signature's ends, and whether LiteRT handed the whole network to its accelerator.
//
// The wheel ships libLiteRt.so without headers. What is declared here is what is called, after litert/c/*.h of
// LiteRT 2.x, where every handle is an opaque pointer and every status an int that is 0 for success.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void *Handle;

typedef struct {
  int32_t element_type;
  uint32_t rank_and_flags;
  int32_t sides[8];
  uint32_t strides[8];
} TensorType; // LiteRtRankedTensorType of litert_model_types.h, 72 bytes

enum { CPU = 1, READ = 0, WRITE = 1 }; // kLiteRtHwAcceleratorCpu, kLiteRtTensorBufferLockMode{Read,Write}

int LiteRtCreateEnvironment(int options, const void *values, Handle *environment);
int LiteRtCreateModelFromFile(Handle environment, const char *path, Handle *model);
int LiteRtCreateOptions(Handle *options);
int LiteRtSetOptionsHardwareAccelerators(Handle options, int accelerators);
int LiteRtCreateCompiledModel(Handle environment, Handle model, Handle options, Handle *compiled);
int LiteRtCompiledModelIsFullyAccelerated(Handle compiled, bool *is_whole);
int LiteRtGetModelSignature(Handle model, size_t index, Handle *signature);
int LiteRtGetSignatureInputName(Handle signature, size_t index, const char **name);
int LiteRtGetSignatureOutputName(Handle signature, size_t index, const char **name);
int LiteRtGetSignatureInputTensorByIndex(Handle signature, size_t index, Handle *tensor);
int LiteRtGetSignatureOutputTensorByIndex(Handle signature, size_t index, Handle *tensor);
int LiteRtGetRankedTensorType(Handle tensor, TensorType *type);
int LiteRtGetCompiledModelInputBufferRequirements(Handle compiled, size_t signature, size_t index, Handle *wanted);
int LiteRtGetCompiledModelOutputBufferRequirements(Handle compiled, size_t signature, size_t index, Handle *wanted);
int LiteRtCreateManagedTensorBufferFromRequirements(Handle environment, const TensorType *type, Handle wanted,
                                                    Handle *buffer);
int LiteRtGetTensorBufferPackedSize(Handle buffer, size_t *bytes);
int LiteRtLockTensorBuffer(Handle buffer, void **address, int mode);
int LiteRtUnlockTensorBuffer(Handle buffer);
int LiteRtRunCompiledModel(Handle compiled, size_t signature, size_t inputs, Handle *input, size_t outputs,
                           Handle *output);
void LiteRtDestroyTensorBuffer(Handle buffer);
void LiteRtDestroyCompiledModel(Handle compiled);
void LiteRtDestroyOptions(Handle options);
void LiteRtDestroyModel(Handle model);
void LiteRtDestroyEnvironment(Handle environment);

#define TRY(call)                                                                                                      \
  do {                                                                                                                 \
    int status = (call);                                                                                               \
    if (status != 0) {                                                                                                 \
      fprintf(stderr, "%s: status %d\n", #call, status);                                                               \
      exit(1);                                                                                                         \
    }                                                                                                                  \
  } while (0)

static FILE *opened(const char *path, const char *mode) {
  FILE *file = fopen(path, mode);
  if (file == NULL) {
    perror(path);
    exit(1);
  }
  return file;
}

int main(int count, char **arguments) {
  if (count != 4) {
    fprintf(stderr, "usage: classify MODEL.tflite IMAGES SCORES\n");
    return 2;
  }
  Handle environment, model, options, compiled, signature, tensor, wanted, input, output;
  TRY(LiteRtCreateEnvironment(0, NULL, &environment));
  TRY(LiteRtCreateModelFromFile(environment, arguments[1], &model));
  TRY(LiteRtCreateOptions(&options));
  TRY(LiteRtSetOptionsHardwareAccelerators(options, CPU));
  TRY(LiteRtCreateCompiledModel(environment, model, options, &compiled));

  TensorType type;
  const char *image, *scores;
  TRY(LiteRtGetModelSignature(model, 0, &signature));
  TRY(LiteRtGetSignatureInputName(signature, 0, &image));
  TRY(LiteRtGetSignatureInputTensorByIndex(signature, 0, &tensor));
  TRY(LiteRtGetRankedTensorType(tensor, &type));
  TRY(LiteRtGetCompiledModelInputBufferRequirements(compiled, 0, 0, &wanted));
  TRY(LiteRtCreateManagedTensorBufferFromRequirements(environment, &type, wanted, &input));
  TRY(LiteRtGetSignatureOutputName(signature, 0, &scores));
  TRY(LiteRtGetSignatureOutputTensorByIndex(signature, 0, &tensor));
  TRY(LiteRtGetRankedTensorType(tensor, &type));
  TRY(LiteRtGetCompiledModelOutputBufferRequirements(compiled, 0, 0, &wanted));
  TRY(LiteRtCreateManagedTensorBufferFromRequirements(environment, &type, wanted, &output));

  size_t read_bytes, written_bytes;
  TRY(LiteRtGetTensorBufferPackedSize(input, &read_bytes));
  TRY(LiteRtGetTensorBufferPackedSize(output, &written_bytes));
  FILE *images = opened(arguments[2], "rb"), *results = opened(arguments[3], "wb");
  char *bytes = malloc(read_bytes);
  while (fread(bytes, 1, read_bytes, images) == read_bytes) {
    void *address;
    TRY(LiteRtLockTensorBuffer(input, &address, WRITE));
    memcpy(address, bytes, read_bytes);
    TRY(LiteRtUnlockTensorBuffer(input));
    TRY(LiteRtRunCompiledModel(compiled, 0, 1, &input, 1, &output));
    TRY(LiteRtLockTensorBuffer(output, &address, READ));
    fwrite(address, 1, written_bytes, results);
    TRY(LiteRtUnlockTensorBuffer(output));
  }
  free(bytes);
  fclose(images);
  fclose(results);

  bool is_whole;
  TRY(LiteRtCompiledModelIsFullyAccelerated(compiled, &is_whole));
  printf("%s -> %s, whole on the accelerator: %s\n", image, scores, is_whole ? "yes" : "no");
  LiteRtDestroyTensorBuffer(input);
  LiteRtDestroyTensorBuffer(output);
  LiteRtDestroyCompiledModel(compiled);
  LiteRtDestroyOptions(options);
  LiteRtDestroyModel(model);
  LiteRtDestroyEnvironment(environment);
  return 0;
}
