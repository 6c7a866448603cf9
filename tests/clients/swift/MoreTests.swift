// Laid beside the golden tests of a package: what Python made of many images, and results by hand.
import Accelerate
import CoreVideo
import Foundation
import ImageIO
import UIKit
import XCTest

@testable import @NAME@

private struct Case: Decodable {
  let name: String
  let width: Int
  let height: Int
  let rows: Int
  let columns: Int
  let cropFraction: Double
  let channels: Int
  let orientation: UInt32
  let hasAlpha: Bool
}

/// Answers with the first bytes of its input: what is fed can be seen in the scores.
private final class Echo: Engine {
  var fed = [[UInt8]]()
  var answer: [UInt8]?

  func run(_ input: [UInt8]) throws -> [UInt8] {
    fed.append(input)
    return answer ?? Array(input.prefix(Settings.classes * Settings.output.size))
  }
}

final class PreprocessTests: XCTestCase {
  private let folder = URL(fileURLWithPath: ProcessInfo.processInfo.environment["VECTORS"]!)

  private func bytes(_ name: String) throws -> [UInt8] {
    try [UInt8](Data(contentsOf: folder.appendingPathComponent(name)))
  }

  func testManyImagesAreThoseOfPythonToTheByte() throws {
    let cases = try JSONDecoder().decode([Case].self, from: Data(bytes("cases.json")))
    XCTAssertGreaterThan(cases.count, 100)
    for each in cases {
      let order: Pixels.Order = each.hasAlpha ? .rgba : .rgbx
      let preprocess = Preprocess(
        resolution: Size(height: each.rows, width: each.columns), cropFraction: each.cropFraction,
        channels: each.channels)
      let found = try bytes("\(each.name).rgba").withUnsafeBytes {
        preprocess.bytes(
          of: try Pixels(
            bytes: $0, width: each.width, height: each.height, bytesPerRow: each.width * 4, order: order,
            orientation: XCTUnwrap(Orientation(rawValue: each.orientation))))
      }
      XCTAssertTrue(try found == bytes("\(each.name).out"), "\(each)")
    }
  }

  func testEveryByteOverWhiteUnderEveryAlpha() throws {
    let expected = try bytes("over_white")
    for alpha in 0..<256 {
      for byte in 0..<256 where overWhite(UInt8(byte), alpha: UInt8(alpha)) != expected[alpha * 256 + byte] {
        XCTFail("byte \(byte), alpha \(alpha)")
      }
    }
  }

  func testFloatsAreThoseOfNumpyToTheBit() throws {
    let encoding = Encoding(
      element: .float32, isBlueFirst: true, mean: [103.939, 116.779, 123.68], std: [1, 57.375, 3])
    let image = (0..<768).map { UInt8($0 / 3) }
    XCTAssertTrue(try encoding.tensor(image, channels: 3) == bytes("floats"))
  }

  func testCodesByHand() {
    let codes = Encoding(element: .int8, isBlueFirst: false, mean: [], std: [])
    XCTAssertEqual(codes.tensor([0, 127, 128, 255], channels: 1), [128, 255, 0, 127])
    let blueFirst = Encoding(element: .uint8, isBlueFirst: true, mean: [], std: [])
    XCTAssertEqual(blueFirst.tensor([1, 2, 3, 4, 5, 6], channels: 3), [3, 2, 1, 6, 5, 4])
  }
}

final class ScoresTests: XCTestCase {
  func testCodesAreReadByHand() throws {
    let affine = Affine(scale: 0.5, zeroPoint: -2)
    XCTAssertEqual(try scores(of: [0, 127, 128], as: .int8, affine: affine, areLogits: false), [1, 64.5, -63])
    XCTAssertEqual(try scores(of: [0, 128], as: .uint8, affine: affine, areLogits: false), [1, 65])
    XCTAssertEqual(
      try scores(of: [0, 0, 128, 63, 0, 0, 0, 192], as: .float32, affine: nil, areLogits: false), [1, -2])
  }

  func testLogitsBecomeProbabilities() throws {
    let affine = Affine(scale: log(3), zeroPoint: 0)
    let found = try scores(of: [1, 0], as: .uint8, affine: affine, areLogits: true)
    XCTAssertEqual(found[0], 0.75, accuracy: 1e-15)
    XCTAssertEqual(found[1], 0.25, accuracy: 1e-15)
    XCTAssertEqual(softmax([1e4, 1e4]), [0.5, 0.5])
  }

  func testWhatIsNoNumberIsNoAnswer() {
    let notANumber: [UInt8] = [0, 0, 192, 127]
    XCTAssertThrowsError(try scores(of: notANumber, as: .float32, affine: nil, areLogits: false))
    XCTAssertThrowsError(try scores(of: [0, 0], as: .float32, affine: nil, areLogits: false))
    XCTAssertThrowsError(try scores(of: [], as: .uint8, affine: nil, areLogits: false))
  }

  func testTheFirstOfEqualScoresComesFirst() throws {
    let found = try ranked([0.2, 0.4, 0.2, 0.4], labels: ["a", "b", "c", "d"])
    XCTAssertEqual(found.map(\.label), ["b", "d", "a", "c"])
    XCTAssertEqual(found.map(\.index), [1, 3, 0, 2])
    XCTAssertThrowsError(try ranked([0.2], labels: []))
  }
}

final class ImagesTests: XCTestCase {
  private let width = 60
  private let height = 40
  private lazy var rgba: [UInt8] = (0..<width * height * 4).map { (at: Int) -> UInt8 in
    UInt8((at * 31 + at / 7) % 256)
  }
  private lazy var opaque: [UInt8] = rgba.indices.map { (at: Int) -> UInt8 in
    at % 4 == 3 ? 255 : rgba[at]
  }

  private func fed(_ classify: (Classifier) throws -> [Score]) throws -> [UInt8] {
    let engine = Echo()
    let scores = try classify(Classifier(engine: engine))
    XCTAssertEqual(scores.count, Settings.classes)
    return engine.fed[0]
  }

  func testEveryWayInGivesTheSameBytes() throws {
    for orientation in Orientation.allCases {
      let plain = try fed {
        try $0.classify(rgba: rgba, width: width, height: height, orientation: orientation)
      }
      let picture = CGImage(rgba: rgba, width: width, height: height)
      let turned = try XCTUnwrap(CGImagePropertyOrientation(rawValue: orientation.rawValue))
      XCTAssertEqual(plain, try fed { try $0.classify(picture, orientation: turned) })
      picture.colorSpace = CGColorSpace(of: .monochrome)
      XCTAssertEqual(plain, try fed { try $0.classify(picture, orientation: turned) })
    }
  }

  func testImagesOfUIKitAreTurnedAsExifSays() throws {
    let picture = CGImage(rgba: rgba, width: width, height: height)
    let pairs: [(UIImage.Orientation, Orientation)] = [
      (.up, .up), (.upMirrored, .upMirrored), (.down, .down), (.downMirrored, .downMirrored),
      (.leftMirrored, .leftMirrored), (.right, .right), (.rightMirrored, .rightMirrored), (.left, .left),
    ]
    for (theirs, ours) in pairs {
      let plain = try fed { try $0.classify(rgba: rgba, width: width, height: height, orientation: ours) }
      XCTAssertEqual(plain, try fed { try $0.classify(UIImage(cgImage: picture, orientation: theirs)) })
    }
    XCTAssertThrowsError(try fed { try $0.classify(UIImage(cgImage: nil, orientation: .up)) })
  }

  func testFramesOfACameraAreOpaqueWhateverTheOrderOfBytes() throws {
    let plain = try fed { try $0.classify(rgba: opaque, width: width, height: height) }
    let orders = [
      (kCVPixelFormatType_32RGBA, [0, 1, 2, 3]), (kCVPixelFormatType_32BGRA, [2, 1, 0, 3]),
      (kCVPixelFormatType_32ARGB, [3, 0, 1, 2]),
    ]
    for (format, order) in orders {
      let padding: [UInt8] = [9, 9, 9, 9, 9]
      let rows: [[UInt8]] = (0..<height).map { (row: Int) -> [UInt8] in
        let pixels: [UInt8] = (0..<width).flatMap { (x: Int) -> [UInt8] in
          order.map { (place: Int) -> UInt8 in rgba[(row * width + x) * 4 + place] }
        }
        return pixels + padding
      }
      let frame = CVPixelBuffer(rows: rows, width: width, format: format)
      XCTAssertEqual(plain, try fed { try $0.classify(frame) })
    }
    let planar = CVPixelBuffer(rows: [[0, 0, 0, 0]], width: 1, format: 0x3432_3076)
    XCTAssertThrowsError(try fed { try $0.classify(planar) }) {
      XCTAssertTrue("\($0)".contains("must be kCVPixelFormatType_32BGRA"), "\($0)")
    }
  }

  func testImagesThatAreNoneThrowOneLine() throws {
    let wrong: [([UInt8], Int, Int)] = [
      ([], 0, 0), ([0, 0, 0], 1, 1), ([0, 0, 0, 0], 2, 1), ([0, 0, 0, 0], -1, -1), ([], Int.max, 0),
      ([0, 0, 0, 0], Int.max, Int.max),
    ]
    for (bytes, width, height) in wrong {
      XCTAssertThrowsError(try fed { try $0.classify(rgba: bytes, width: width, height: height) }) {
        XCTAssertTrue($0 is ClassifierError)
        XCTAssertFalse($0.localizedDescription.contains("\n"))
        XCTAssertTrue($0.localizedDescription.contains("4 bytes for each of its pixels"), "\($0)")
      }
    }
  }

  func testAnAnswerOfTheWrongSizeThrows() throws {
    let engine = Echo()
    engine.answer = [1, 2]
    let classifier = try Classifier(engine: engine)
    XCTAssertThrowsError(try classifier.classify(rgba: rgba, width: width, height: height))
    XCTAssertThrowsError(try Classifier(threads: 0))
  }

  func testManyThreadsShareOneClassifier() throws {
    let classifier = try Classifier()
    let alone = try classifier.classify(rgba: rgba, width: width, height: height)
    var found = [[Score]?](repeating: nil, count: 16)
    let lock = NSLock()
    let (rgba, width, height) = (rgba, width, height)
    DispatchQueue.concurrentPerform(iterations: found.count) { at in
      let scores = try? classifier.classify(rgba: rgba, width: width, height: height)
      lock.lock()
      found[at] = scores
      lock.unlock()
    }
    XCTAssertTrue(found.allSatisfy { $0 == alone })
  }

  func testLabelsAreTheLinesOfTheFile() throws {
    let wanted = URL(fileURLWithPath: ProcessInfo.processInfo.environment["VECTORS"]!)
    let lines = try JSONDecoder().decode(
      [String].self, from: Data(contentsOf: wanted.appendingPathComponent("labels.json")))
    XCTAssertEqual(try Classifier(engine: Echo()).labels, lines)
  }
}
