// SPDX-License-Identifier: Apache-2.0

/// What one byte of a resized row or column is made of: `weights` of the bytes from `start` on.
struct Tap {
  let start: Int
  let weights: [Int32]
}

/// Weights are whole numbers of 1 / 2^22, as in Pillow's resampling of bytes.
private let fractionBits: Int32 = 22

/// The weights of a bilinear (triangle) filter whose support grows with the reduction.
func taps(from source: Int, to target: Int) -> [Tap] {
  let scale = Double(source) / Double(target)
  let support = max(scale, 1)
  let slope = 1 / support
  return (0..<target).map { at in
    let center = (Double(at) + 0.5) * scale
    let start = max(Int(center - support + 0.5), 0)
    let end = min(Int(center + support + 0.5), source)
    var weights = (start..<end).map { triangle((Double($0) - center + 0.5) * slope) }
    let total = weights.reduce(0, +)
    if total != 0 {
      weights = weights.map { $0 / total }
    }
    return Tap(start: start, weights: weights.map { Int32(0.5 + $0 * Double(1 << fractionBits)) })
  }
}

private func triangle(_ x: Double) -> Double {
  abs(x) < 1 ? 1 - abs(x) : 0
}

/// Height and width of an image, in pixels.
struct Size: Equatable {
  let height: Int
  let width: Int
}

/// The image resized to `target`, with as many bytes a pixel as there are `channels`.
func resized(_ image: [UInt8], from size: Size, to target: Size, channels: Int) -> [UInt8] {
  guard size != target else { return image }  // as Pillow does: nothing is rounded twice
  let across = taps(from: size.width, to: target.width)
  let down = taps(from: size.height, to: target.height)
  let narrow = resizedRows(image, rows: size.height, width: size.width, taps: across, channels: channels)
  return resizedColumns(narrow, bytesPerRow: target.width * channels, taps: down)
}

private func resizedRows(
  _ image: [UInt8], rows: Int, width: Int, taps: [Tap], channels: Int
) -> [UInt8] {
  [UInt8](unsafeUninitializedCapacity: rows * taps.count * channels) { result, count in
    image.withUnsafeBufferPointer { source in
      for row in 0..<rows {
        for (column, tap) in taps.enumerated() {
          let first = (row * width + tap.start) * channels
          let place = (row * taps.count + column) * channels
          for channel in 0..<channels {
            result[place + channel] = sum(source, first + channel, step: channels, tap.weights)
          }
        }
      }
    }
    count = rows * taps.count * channels
  }
}

private func resizedColumns(_ image: [UInt8], bytesPerRow: Int, taps: [Tap]) -> [UInt8] {
  [UInt8](unsafeUninitializedCapacity: bytesPerRow * taps.count) { result, count in
    image.withUnsafeBufferPointer { source in
      for (row, tap) in taps.enumerated() {
        for column in 0..<bytesPerRow {
          let first = tap.start * bytesPerRow + column
          result[row * bytesPerRow + column] = sum(source, first, step: bytesPerRow, tap.weights)
        }
      }
    }
    count = bytesPerRow * taps.count
  }
}

/// The weighted sum of every `step`-th byte from `first` on, rounded and cut to a byte.
@inline(__always)
private func sum(
  _ source: UnsafeBufferPointer<UInt8>, _ first: Int, step: Int, _ weights: [Int32]
) -> UInt8 {
  var total: Int32 = 1 << (fractionBits - 1)
  var at = first
  for weight in weights {
    total &+= Int32(source[at]) &* weight
    at += step
  }
  return UInt8(clamping: total >> fractionBits)
}
