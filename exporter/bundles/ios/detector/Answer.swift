// SPDX-License-Identifier: Apache-2.0

/// The network's four outputs for one image.
struct Answer {
  /// ymin, xmin, ymax, xmax of each box, in fractions of the image.
  private let corners: [Float]
  private let classes: [Float]
  private let scores: [Float]
  /// How many rows count.
  private let count: Int

  /// The outputs by their names, as they lie in memory.
  init(outputs: [String: [UInt8]]) throws {
    scores = try Answer.numbers("score", count: Settings.most, of: outputs)
    corners = try Answer.numbers("location", count: 4 * Settings.most, of: outputs)
    classes = try Answer.numbers("category", count: Settings.most, of: outputs)
    let told = try Answer.numbers("number of detections", count: 1, of: outputs)[0]
    guard let count = Int(exactly: told), (0...Settings.most).contains(count) else {
      throw DetectorError("the network must find from 0 to \(Settings.most) objects, got \(told)")
    }
    self.count = count
  }

  /// What was found with a score of at least `minScore`, in pixels of an image of this size.
  func detections(labels: [String], width: Int, height: Int, minScore: Double) throws -> [Detection] {
    // A score that is no number is no answer.
    try (0..<count).filter { Double(scores[$0]) >= minScore }.map { row in
      guard let index = Int(exactly: classes[row]), labels.indices.contains(index) else {
        throw DetectorError("classes must be below \(labels.count), got \(classes[row])")
      }
      let box = corners[4 * row..<4 * row + 4].map(Double.init)
      return Detection(
        index: index, label: labels[index], score: Double(scores[row]), left: box[1] * Double(width),
        top: box[0] * Double(height), right: box[3] * Double(width), bottom: box[2] * Double(height))
    }
  }

  private static func numbers(_ name: String, count: Int, of outputs: [String: [UInt8]]) throws -> [Float] {
    guard let output = outputs[name] else {
      throw DetectorError("the network must have an output called \(name), got none")
    }
    guard output.count == 4 * count else {
      throw DetectorError("\(name) must be \(count) numbers of float32, got \(output.count) bytes")
    }
    return floats(output)
  }
}
