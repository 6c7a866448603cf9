// SPDX-License-Identifier: Apache-2.0

/// How the rows of an image lie in memory; the numbers are those of EXIF and of CGImagePropertyOrientation.
public enum Orientation: UInt32, CaseIterable, Sendable {
  case up = 1
  case upMirrored, down, downMirrored, leftMirrored, right, rightMirrored, left

  var swapsSides: Bool { rawValue >= Orientation.leftMirrored.rawValue }
}

/// Bytes of an image that lie in memory as someone else laid them.
struct Pixels {
  /// Where red, green, blue and, if there is transparency, alpha stand in a pixel of four bytes.
  struct Order: Equatable {
    let red: Int
    let green: Int
    let blue: Int
    let alpha: Int?

    static let rgba = Order(red: 0, green: 1, blue: 2, alpha: 3)
    static let rgbx = Order(red: 0, green: 1, blue: 2, alpha: nil)
    static let bgrx = Order(red: 2, green: 1, blue: 0, alpha: nil)
    static let xrgb = Order(red: 1, green: 2, blue: 3, alpha: nil)
  }

  let bytes: UnsafeRawBufferPointer
  let width: Int
  let height: Int
  let bytesPerRow: Int
  let order: Order
  let orientation: Orientation

  init(
    bytes: UnsafeRawBufferPointer, width: Int, height: Int, bytesPerRow: Int, order: Order,
    orientation: Orientation
  ) throws {
    guard width > 0, height > 0 else {
      throw ClassifierError("an image must have at least one pixel, got \(width) x \(height)")
    }
    let (needed, isTooLarge) = bytesPerRow.multipliedReportingOverflow(by: height - 1)
    guard bytesPerRow / 4 >= width, !isTooLarge, bytes.count - width * 4 >= needed else {
      throw ClassifierError(
        "\(width) x \(height) pixels need 4 bytes each, got \(bytes.count) bytes")
    }
    self.bytes = bytes
    self.width = width
    self.height = height
    self.bytesPerRow = bytesPerRow
    self.order = order
    self.orientation = orientation
  }

  /// The sides of the image once it stands upright.
  var uprightWidth: Int { orientation.swapsSides ? height : width }
  var uprightHeight: Int { orientation.swapsSides ? width : height }

  /// Where the pixel of the upright image lies, from the start of `bytes`.
  func offset(x: Int, y: Int) -> Int {
    let right = width - 1
    let bottom = height - 1
    let (column, row): (Int, Int)
    switch orientation {
    case .up: (column, row) = (x, y)
    case .upMirrored: (column, row) = (right - x, y)
    case .down: (column, row) = (right - x, bottom - y)
    case .downMirrored: (column, row) = (x, bottom - y)
    case .leftMirrored: (column, row) = (y, x)
    case .right: (column, row) = (y, bottom - x)
    case .rightMirrored: (column, row) = (right - y, bottom - x)
    case .left: (column, row) = (right - y, x)
    }
    return row * bytesPerRow + column * 4
  }
}

/// A byte laid over white, in the integer steps of Pillow's `alpha_composite`.
func overWhite(_ byte: UInt8, alpha: UInt8) -> UInt8 {
  let share = Int(alpha) * 128
  let sum = Int(byte) * share + 255 * (255 * 128 - share) + 128 * 128
  return UInt8((((sum >> 8) + sum) >> 8) >> 7)
}

/// The brightness of a colour, in the integer steps of Pillow's mode "L" (ITU-R 601-2).
func grey(_ red: UInt8, _ green: UInt8, _ blue: UInt8) -> UInt8 {
  UInt8((Int(red) * 19595 + Int(green) * 38470 + Int(blue) * 7471 + 0x8000) >> 16)
}
