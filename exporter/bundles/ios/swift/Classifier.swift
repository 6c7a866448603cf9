// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Tells what is in an image. May be used from any thread; images are classified one after the other.
public final class Classifier: @unchecked Sendable {
  /// The names of the classes, by their numbers.
  public let labels: [String]
  private let engine: Engine
  private let lock = NSLock()

  /// Loads the model that lies in this bundle; do it once, not on the main thread, and keep the classifier.
  ///
  /// Throws `ClassifierError` if the model or its labels are missing, or if the linked runtime refuses them.
  public convenience init(threads: Int = 2) throws {
    guard threads > 0 else {
      throw ClassifierError("threads must be at least 1, got \(threads)")
    }
    let model = try Resources.url(of: Settings.model)
    try self.init(engine: linkedEngine(model: model, threads: threads))
  }

  /// The same with an engine of your own, which runs the model of this bundle.
  public init(engine: Engine) throws {
    self.engine = engine
    labels = try Resources.labels()
  }

  /// All classes, the best first, for an image of 8-bit RGBA: rows from the top, four bytes a pixel.
  ///
  /// Alpha is straight, not premultiplied; what is transparent is laid over white.
  public func classify(
    rgba: [UInt8], width: Int, height: Int, orientation: Orientation = .up
  ) throws -> [Score] {
    guard width > 0, height > 0, rgba.count.isMultiple(of: 4),
      (rgba.count / 4).quotientAndRemainder(dividingBy: width) == (height, 0)
    else {
      throw ClassifierError(
        "an image must have 4 bytes for each of its pixels, got \(rgba.count) for \(width) x \(height)"
      )
    }
    return try rgba.withUnsafeBytes { bytes in
      try classify(
        Pixels(
          bytes: bytes, width: width, height: height, bytesPerRow: width * 4, order: .rgba,
          orientation: orientation))
    }
  }

  func classify(_ image: Pixels) throws -> [Score] {
    let output = try answer(Settings.preprocess.bytes(of: image))
    let values = try scores(
      of: output, as: Settings.output, affine: Settings.affine, areLogits: Settings.areLogits)
    return try ranked(values, labels: labels)
  }

  /// The bytes of the output tensor for an image that is preprocessed already.
  func answer(_ bytes: [UInt8]) throws -> [UInt8] {
    let tensor = Settings.encoding.tensor(bytes, channels: Settings.preprocess.channels)
    lock.lock()
    defer { lock.unlock() }
    return try engine.run(tensor)
  }
}
