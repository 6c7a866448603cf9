// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What runs the network: LiteRT or TensorFlow Lite, whichever the app links, or one of your own.
public protocol Engine: AnyObject {
  /// The bytes of the output tensor for the bytes of the input tensor.
  func run(_ input: [UInt8]) throws -> [UInt8]
}

/// The engine that the app links. Throws `ClassifierError` if there is none, or if it refuses the model.
func linkedEngine(model: URL, threads: Int) throws -> Engine {
  #if canImport(LiteRT)
    return try LiteRTEngine(model: model, threads: threads)
  #elseif canImport(TensorFlowLiteC)
    return try TensorFlowLiteEngine(model: model, threads: threads)
  #else
    throw ClassifierError(
      "the app must link LiteRT (Swift package) or TensorFlowLiteC (pod), got neither; see README.md"
    )
  #endif
}
