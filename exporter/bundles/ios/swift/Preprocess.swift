// SPDX-License-Identifier: Apache-2.0

/// How an image of any size becomes the input of the network: to the byte as where the network was made.
struct Preprocess: Equatable {
  /// The height and the width that the network takes.
  let resolution: Size
  /// How much of an image's height or width is kept, whichever is short for the shape of the network's input.
  let cropFraction: Double
  /// 3, or 1 for a network that takes grey images.
  let channels: Int

  /// The bytes of the upright image, cropped and resized: rows from the top, red first.
  func bytes(of image: Pixels) -> [UInt8] {
    let (part, size) = cropped(image)
    return resized(part, from: size, to: resolution, channels: channels)
  }

  /// What is kept of an image: of the shape of the network's input, at least 1 pixel a side.
  func kept(of image: Size) -> Size {
    let rows = resolution.height
    let columns = resolution.width
    if image.width * rows >= image.height * columns {
      let height = rounded(Double(image.height) * cropFraction)
      return Size(height: height, width: rounded(Double(height) * (Double(columns) / Double(rows))))
    }
    let width = rounded(Double(image.width) * cropFraction)
    return Size(height: rounded(Double(width) * (Double(rows) / Double(columns))), width: width)
  }

  private func rounded(_ pixels: Double) -> Int {
    max(1, Int(pixels.rounded(.toNearestOrEven)))
  }

  private func cropped(_ image: Pixels) -> ([UInt8], Size) {
    let size = kept(of: Size(height: image.uprightHeight, width: image.uprightWidth))
    let left = (image.uprightWidth - size.width) / 2
    let top = (image.uprightHeight - size.height) / 2
    let count = size.height * size.width * channels
    let part = [UInt8](unsafeUninitializedCapacity: count) { result, made in
      for y in 0..<size.height {
        for x in 0..<size.width {
          let place = (y * size.width + x) * channels
          write(image, at: image.offset(x: left + x, y: top + y), to: result, place)
        }
      }
      made = count
    }
    return (part, size)
  }

  @inline(__always)
  private func write(
    _ image: Pixels, at offset: Int, to result: UnsafeMutableBufferPointer<UInt8>, _ place: Int
  ) {
    var red = image.bytes[offset + image.order.red]
    var green = image.bytes[offset + image.order.green]
    var blue = image.bytes[offset + image.order.blue]
    if let alpha = image.order.alpha.map({ image.bytes[offset + $0] }), alpha < 255 {
      red = overWhite(red, alpha: alpha)
      green = overWhite(green, alpha: alpha)
      blue = overWhite(blue, alpha: alpha)
    }
    if channels == 1 {
      result[place] = grey(red, green, blue)
    } else {
      result[place] = red
      result[place + 1] = green
      result[place + 2] = blue
    }
  }
}

/// How the bytes of an image become those of the input tensor.
struct Encoding: Equatable {
  let element: Element
  let isBlueFirst: Bool
  /// One number for each channel, in the order of the tensor; empty for codes.
  let mean: [Double]
  let std: [Double]

  /// A byte as it is (uint8), byte - 128 (int8) or (byte - mean) / std (float32, little-endian).
  func tensor(_ bytes: [UInt8], channels: Int) -> [UInt8] {
    let ordered = isBlueFirst && channels == 3 ? swapped(bytes) : bytes
    switch element {
    case .uint8: return ordered
    case .int8: return ordered.map { $0 ^ 0x80 }
    case .float32: return normalized(ordered, channels: channels)
    }
  }

  private func swapped(_ bytes: [UInt8]) -> [UInt8] {
    var swapped = bytes
    for first in stride(from: 0, to: bytes.count, by: 3) {
      swapped.swapAt(first, first + 2)
    }
    return swapped
  }

  private func normalized(_ bytes: [UInt8], channels: Int) -> [UInt8] {
    let tables = (0..<channels).map { channel in
      (0..<256).map { (Float($0) - Float(mean[channel])) / Float(std[channel]) }
    }
    var tensor = [UInt8]()
    tensor.reserveCapacity(bytes.count * 4)
    for (at, byte) in bytes.enumerated() {
      withUnsafeBytes(of: tables[at % channels][Int(byte)].bitPattern.littleEndian) {
        tensor.append(contentsOf: $0)
      }
    }
    return tensor
  }
}
