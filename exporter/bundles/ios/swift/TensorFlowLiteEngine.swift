// SPDX-License-Identifier: Apache-2.0
#if !canImport(LiteRT) && canImport(TensorFlowLiteC)
  import Foundation
  import TensorFlowLiteC

  /// TensorFlow Lite through its C interface, from the pod TensorFlowLiteC: the Swift one knows no int8 tensors.
  final class TensorFlowLiteEngine: Engine {
    private let model: OpaquePointer
    private let interpreter: OpaquePointer

    init(model url: URL, threads: Int) throws {
      let name = url.lastPathComponent
      guard let model = TfLiteModelCreateFromFile(url.path) else {
        throw ClassifierError("TensorFlow Lite cannot read \(name)")
      }
      let options = TfLiteInterpreterOptionsCreate()
      defer { TfLiteInterpreterOptionsDelete(options) }
      TfLiteInterpreterOptionsSetNumThreads(options, Int32(threads))
      guard let interpreter = TfLiteInterpreterCreate(model, options) else {
        TfLiteModelDelete(model)
        throw ClassifierError("TensorFlow Lite cannot run \(name)")
      }
      self.model = model
      self.interpreter = interpreter
      guard TfLiteInterpreterAllocateTensors(interpreter) == kTfLiteOk else {
        throw ClassifierError("TensorFlow Lite has no memory for \(name)")
      }
    }

    deinit {
      TfLiteInterpreterDelete(interpreter)
      TfLiteModelDelete(model)
    }

    func run(_ input: [UInt8]) throws -> [UInt8] {
      guard let tensor = TfLiteInterpreterGetInputTensor(interpreter, 0),
        TfLiteTensorByteSize(tensor) == input.count,
        TfLiteTensorCopyFromBuffer(tensor, input, input.count) == kTfLiteOk
      else {
        throw ClassifierError("TensorFlow Lite takes no \(input.count) bytes of input")
      }
      guard TfLiteInterpreterInvoke(interpreter) == kTfLiteOk,
        let result = TfLiteInterpreterGetOutputTensor(interpreter, 0)
      else {
        throw ClassifierError("TensorFlow Lite fails on \(input.count) bytes of input")
      }
      var output = [UInt8](repeating: 0, count: TfLiteTensorByteSize(result))
      guard TfLiteTensorCopyToBuffer(result, &output, output.count) == kTfLiteOk else {
        throw ClassifierError("TensorFlow Lite gives no output of \(output.count) bytes")
      }
      return output
    }
  }
#endif
