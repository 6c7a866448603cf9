// Laid beside the golden tests of a detector's package: what Python made of many images, and results by hand.
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
  let channels: Int
  let orientation: UInt32
  let hasAlpha: Bool
}

private func bytes(_ numbers: [Float]) -> [UInt8] {
  numbers.flatMap { number in withUnsafeBytes(of: number.bitPattern.littleEndian) { Array($0) } }
}

/// The outputs of a network that found these rows: class, score, and ymin, xmin, ymax, xmax.
private func outputs(_ rows: [(Float, Float, [Float])], count: Float? = nil) -> [String: [UInt8]] {
  let empty = Settings.most - rows.count
  let zeros = [Float](repeating: 0, count: empty)
  return [
    "score": bytes(rows.map(\.1) + zeros), "category": bytes(rows.map(\.0) + zeros),
    "location": bytes(rows.flatMap(\.2) + [Float](repeating: 0, count: 4 * empty)),
    "number of detections": bytes([count ?? Float(rows.count)]),
  ]
}

/// Keeps what it is fed, and answers with the same always.
private final class Echo: Engine {
  var fed = [[UInt8]]()
  var answer = outputs([(0, 0.75, [0.25, 0, 0.5, 1]), (2, 0.5, [0, 0.5, 1, 0.75])])

  func run(_ input: [UInt8]) throws -> [String: [UInt8]] {
    fed.append(input)
    return answer
  }
}

final class WholeImagesTests: XCTestCase {
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
        resolution: Size(height: each.rows, width: each.columns), channels: each.channels)
      let found = try bytes("\(each.name).rgba").withUnsafeBytes {
        preprocess.bytes(
          of: try Pixels(
            bytes: $0, width: each.width, height: each.height, bytesPerRow: each.width * 4, order: order,
            orientation: XCTUnwrap(Orientation(rawValue: each.orientation))))
      }
      XCTAssertTrue(try found == bytes("\(each.name).out"), "\(each)")
    }
  }

  func testLabelsAreTheLinesOfTheFile() throws {
    let lines = try JSONDecoder().decode([String].self, from: Data(bytes("labels.json")))
    XCTAssertEqual(try Detector(engine: Echo()).labels, lines)
  }
}

final class AnswersTests: XCTestCase {
  private let labels = ["a", "b", "c"]

  func testRowsAreThoseThatCountAndAreCertainInPixels() throws {
    let rows: [(Float, Float, [Float])] = [
      (2, 0.75, [0.25, 0.125, 0.5, 1]), (0, 0.5, [0, 0, 1, 1]), (1, 0.25, [0, 0, 1, 1]),
    ]
    let answer = try Answer(outputs: outputs(rows, count: 2))
    let found = try answer.detections(labels: labels, width: 640, height: 400, minScore: 0)
    XCTAssertEqual(
      found,
      [
        Detection(index: 2, label: "c", score: 0.75, left: 80, top: 100, right: 640, bottom: 200),
        Detection(index: 0, label: "a", score: 0.5, left: 0, top: 0, right: 640, bottom: 400),
      ])
    let certain = try answer.detections(labels: labels, width: 640, height: 400, minScore: 0.51)
    XCTAssertEqual(certain, [found[0]])
  }

  func testAScoreThatIsNoNumberIsNoAnswer() throws {
    let answer = try Answer(outputs: outputs([(0, .nan, [0, 0, 1, 1]), (1, 0.5, [0, 0, 1, 1])]))
    XCTAssertEqual(try answer.detections(labels: labels, width: 1, height: 1, minScore: 0).map(\.index), [1])
  }

  func testWhatNoDetectorAnswersThrowsOneLine() throws {
    for count: Float in [-1, 0.5, Float(Settings.most + 1), .nan, .infinity] {
      XCTAssertThrowsError(try Answer(outputs: outputs([], count: count))) {
        XCTAssertTrue("\($0)".hasPrefix("the network must find from 0 to \(Settings.most) objects"), "\($0)")
      }
    }
    for index: Float in [-1, 3, 0.5, .nan] {
      let answer = try Answer(outputs: outputs([(index, 0.5, [0, 0, 1, 1])]))
      XCTAssertThrowsError(try answer.detections(labels: labels, width: 1, height: 1, minScore: 0)) {
        XCTAssertTrue("\($0)".hasPrefix("classes must be below 3, got "), "\($0)")
      }
    }
    var missing = outputs([])
    missing["category"] = nil
    XCTAssertThrowsError(try Answer(outputs: missing)) {
      XCTAssertEqual("\($0)", "the network must have an output called category, got none")
    }
    var short = outputs([])
    short["location"]?.removeLast()
    XCTAssertThrowsError(try Answer(outputs: short))
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

  private func fed(_ detect: (Detector) throws -> [Detection]) throws -> [UInt8] {
    let engine = Echo()
    _ = try detect(Detector(engine: engine))
    return engine.fed[0]
  }

  func testEveryWayInGivesTheSameBytes() throws {
    for orientation in Orientation.allCases {
      let plain = try fed {
        try $0.detect(rgba: rgba, width: width, height: height, orientation: orientation)
      }
      let picture = CGImage(rgba: rgba, width: width, height: height)
      let turned = try XCTUnwrap(CGImagePropertyOrientation(rawValue: orientation.rawValue))
      XCTAssertEqual(plain, try fed { try $0.detect(picture, orientation: turned) })
    }
    let picture = CGImage(rgba: rgba, width: width, height: height)
    let lying = try fed { try $0.detect(rgba: rgba, width: width, height: height, orientation: .right) }
    XCTAssertEqual(lying, try fed { try $0.detect(UIImage(cgImage: picture, orientation: .right)) })
    let plain = try fed { try $0.detect(rgba: opaque, width: width, height: height) }
    let rows = (0..<height).map { Array(rgba[$0 * width * 4..<($0 + 1) * width * 4]) }
    let frame = CVPixelBuffer(rows: rows, width: width, format: kCVPixelFormatType_32RGBA)
    XCTAssertEqual(plain, try fed { try $0.detect(frame) })
  }

  func testBoxesAreInPixelsOfTheUprightImage() throws {
    let detector = try Detector(engine: Echo())
    let found = try detector.detect(rgba: rgba, width: width, height: height)
    XCTAssertEqual([found[0].left, found[0].top, found[0].right, found[0].bottom], [0, 10, 60, 20])
    let lying = try detector.detect(rgba: rgba, width: width, height: height, orientation: .right)
    XCTAssertEqual([lying[0].left, lying[0].top, lying[0].right, lying[0].bottom], [0, 15, 40, 30])
    XCTAssertEqual([lying[1].left, lying[1].top, lying[1].right, lying[1].bottom], [20, 0, 30, 60])
  }

  func testWhatIsNotCertainEnoughIsLeftOutWhicheverWayItComesIn() throws {
    let detector = try Detector(engine: Echo())
    let picture = CGImage(rgba: rgba, width: width, height: height)
    let rows = [[UInt8](repeating: 0, count: 4)]
    let frame = CVPixelBuffer(rows: rows, width: 1, format: kCVPixelFormatType_32BGRA)
    for (least, count) in [(0.5, 2), (0.51, 1), (0.76, 0)] {
      let ways = [
        try detector.detect(rgba: rgba, width: width, height: height, minScore: least),
        try detector.detect(picture, minScore: least),
        try detector.detect(frame, minScore: least),
        try detector.detect(UIImage(cgImage: picture, orientation: .up), minScore: least),
      ]
      XCTAssertEqual(ways.map(\.count), [count, count, count, count])
    }
    for least in [-0.1, 1.1, .nan] {
      XCTAssertThrowsError(try detector.detect(rgba: rgba, width: width, height: height, minScore: least)) {
        XCTAssertEqual("\($0)", "minScore must be from 0 to 1, got \(least)")
      }
    }
  }

  func testImagesThatAreNoneThrowOneLine() throws {
    let wrong: [([UInt8], Int, Int)] = [([], 0, 0), ([0, 0, 0], 1, 1), ([0, 0, 0, 0], 2, 1), ([], Int.max, 0)]
    for (bytes, width, height) in wrong {
      XCTAssertThrowsError(try fed { try $0.detect(rgba: bytes, width: width, height: height) }) {
        XCTAssertTrue($0 is DetectorError)
        XCTAssertTrue($0.localizedDescription.contains("4 bytes for each of its pixels"), "\($0)")
      }
    }
    XCTAssertThrowsError(try Detector(threads: 0))
  }

  func testManyThreadsShareOneDetector() throws {
    let detector = try Detector()
    let alone = try detector.detect(rgba: rgba, width: width, height: height)
    XCTAssertFalse(alone.isEmpty)
    var found = [[Detection]?](repeating: nil, count: 16)
    let lock = NSLock()
    let (rgba, width, height) = (rgba, width, height)
    DispatchQueue.concurrentPerform(iterations: found.count) { at in
      let detections = try? detector.detect(rgba: rgba, width: width, height: height)
      lock.lock()
      found[at] = detections
      lock.unlock()
    }
    XCTAssertTrue(found.allSatisfy { $0 == alone })
  }
}
