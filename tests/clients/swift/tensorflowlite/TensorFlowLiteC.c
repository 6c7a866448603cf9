// A runtime that answers with its input, 3 added to each byte: one for each thread that it was asked for.
// The model is a file that tells the size of both tensors or, in further lines, that and the name of each output, which
// gets as many bytes of the answer. Calls in a wrong order, or leaks, end the process.
#include "TensorFlowLiteC.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4 };
struct TfLiteModel {
  size_t bytes;
  TfLiteTensor outputs[MOST];
  int32_t count;
};
struct TfLiteInterpreterOptions {
  int32_t threads;
};
struct TfLiteInterpreter {
  TfLiteTensor input, outputs[MOST];
  int32_t count, threads;
  int is_allocated, is_fed;
};

static int alive = 0;

static void check(void) {
  if (alive != 0) {
    fprintf(stderr, "%d objects were never deleted\n", alive);
    _Exit(9);
  }
}

TfLiteModel *TfLiteModelCreateFromFile(const char *path) {
  atexit(check);
  FILE *file = fopen(path, "r");
  TfLiteModel *model = calloc(1, sizeof *model);
  if (file == NULL || fscanf(file, "%zu", &model->bytes) != 1) return NULL;
  TfLiteTensor *next = model->outputs;
  while (model->count < MOST && fscanf(file, "%zu %31[^\n]", &next->bytes, next->name) == 2) next++, model->count++;
  if (model->count == 0) model->outputs[model->count++].bytes = model->bytes;
  fclose(file);
  alive++;
  return model;
}

TfLiteInterpreterOptions *TfLiteInterpreterOptionsCreate(void) {
  alive++;
  return calloc(1, sizeof(TfLiteInterpreterOptions));
}

void TfLiteInterpreterOptionsSetNumThreads(TfLiteInterpreterOptions *options, int32_t threads) {
  options->threads = threads;
}

TfLiteInterpreter *TfLiteInterpreterCreate(const TfLiteModel *model, const TfLiteInterpreterOptions *options) {
  TfLiteInterpreter *made = calloc(1, sizeof *made);
  made->input.bytes = model->bytes;
  memcpy(made->outputs, model->outputs, sizeof made->outputs);
  made->count = model->count;
  made->threads = options->threads;
  alive++;
  return made;
}

TfLiteStatus TfLiteInterpreterAllocateTensors(TfLiteInterpreter *interpreter) {
  interpreter->is_allocated = 1;
  return kTfLiteOk;
}

TfLiteTensor *TfLiteInterpreterGetInputTensor(const TfLiteInterpreter *interpreter, int32_t index) {
  assert(interpreter->is_allocated && index == 0);
  ((TfLiteInterpreter *)interpreter)->is_fed = 1;
  return (TfLiteTensor *)&interpreter->input;
}

TfLiteStatus TfLiteInterpreterInvoke(TfLiteInterpreter *interpreter) {
  assert(interpreter->is_fed);
  for (int32_t output = 0; output < interpreter->count; output++)
    for (size_t at = 0; at < interpreter->outputs[output].bytes; at++)
      interpreter->outputs[output].data[at] = interpreter->input.data[at] + interpreter->threads;
  return kTfLiteOk;
}

const TfLiteTensor *TfLiteInterpreterGetOutputTensor(const TfLiteInterpreter *interpreter, int32_t index) {
  assert(index >= 0 && index < interpreter->count);
  return &interpreter->outputs[index];
}

int32_t TfLiteInterpreterGetOutputTensorCount(const TfLiteInterpreter *interpreter) { return interpreter->count; }

const char *TfLiteTensorName(const TfLiteTensor *tensor) { return tensor->name; }

size_t TfLiteTensorByteSize(const TfLiteTensor *tensor) { return tensor->bytes; }

TfLiteStatus TfLiteTensorCopyFromBuffer(TfLiteTensor *tensor, const void *bytes, size_t count) {
  if (count != tensor->bytes) return kTfLiteError;
  memcpy(tensor->data, bytes, count);
  return kTfLiteOk;
}

TfLiteStatus TfLiteTensorCopyToBuffer(const TfLiteTensor *tensor, void *bytes, size_t count) {
  if (count != tensor->bytes) return kTfLiteError;
  memcpy(bytes, tensor->data, count);
  return kTfLiteOk;
}

void TfLiteModelDelete(TfLiteModel *model) { free(model), alive--; }
void TfLiteInterpreterOptionsDelete(TfLiteInterpreterOptions *options) { free(options), alive--; }
void TfLiteInterpreterDelete(TfLiteInterpreter *interpreter) { free(interpreter), alive--; }
