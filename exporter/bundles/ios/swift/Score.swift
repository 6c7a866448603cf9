// SPDX-License-Identifier: Apache-2.0
import Foundation

/// One class and how sure the network is of it.
public struct Score: Equatable, Sendable {
  /// The number of the class: its line in labels.txt, counted from 0.
  public let index: Int
  public let label: String
  /// A probability; of a network with several answers at once (sigmoid), each by itself.
  public let value: Double
}

/// What the numbers of an element are stored as.
enum Element: String, Equatable {
  case uint8, int8, float32

  var size: Int { self == .float32 ? 4 : 1 }
}

/// The scores of the bytes of an output tensor, in the order of the classes.
///
/// A code stands for scale * (code - zeroPoint); without a scale the number is meant itself. Logits become
/// probabilities.
func scores(
  of output: [UInt8], as element: Element, affine: Affine?, areLogits: Bool
) throws -> [Double] {
  guard output.count % element.size == 0, !output.isEmpty else {
    throw ClassifierError(
      "the output must be whole elements of \(element.rawValue), got \(output.count) bytes")
  }
  var values: [Double]
  switch element {
  case .uint8: values = output.map { Double($0) }
  case .int8: values = output.map { Double(Int8(bitPattern: $0)) }
  case .float32: values = floats(output).map { Double($0) }
  }
  if let affine {
    values = values.map { affine.scale * ($0 - Double(affine.zeroPoint)) }
  }
  guard values.allSatisfy({ $0.isFinite }) else {
    throw ClassifierError("the network must answer with finite numbers, got NaN or infinity")
  }
  return areLogits ? softmax(values) : values
}

/// The best first; of equal ones the class with the lower number.
func ranked(_ values: [Double], labels: [String]) throws -> [Score] {
  guard values.count == labels.count else {
    throw ClassifierError(
      "there must be one label for each score, got \(labels.count) for \(values.count)")
  }
  let scores = values.indices.map { Score(index: $0, label: labels[$0], value: values[$0]) }
  return scores.sorted { ($1.value, $0.index) < ($0.value, $1.index) }
}

/// How codes are read: scale * (code - zeroPoint).
struct Affine: Equatable {
  let scale: Double
  let zeroPoint: Int
}

func softmax(_ logits: [Double]) -> [Double] {
  let largest = logits.max() ?? 0
  let powers = logits.map { exp($0 - largest) }
  let total = powers.reduce(0, +)
  return powers.map { $0 / total }
}

func floats(_ bytes: [UInt8]) -> [Float] {
  stride(from: 0, to: bytes.count, by: 4).map { start in
    let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[start + $1]) << UInt32(8 * $1) }
    return Float(bitPattern: bits)
  }
}
