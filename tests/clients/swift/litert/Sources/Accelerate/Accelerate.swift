import CoreGraphics
import Foundation

public typealias vImage_Error = Int
public typealias vImage_Flags = UInt32
public typealias vImagePixelCount = UInt

public let kvImageNoFlags = 0
public let kvImageNoError = 0

public struct vImage_Buffer {
  public var data: UnsafeMutableRawPointer!
  public var height: vImagePixelCount = 0
  public var width: vImagePixelCount = 0
  public var rowBytes = 0
  public init() {}
}

public struct vImage_CGImageFormat {
  let isStraightRGBA: Bool

  public init?(
    bitsPerComponent: Int, bitsPerPixel: Int, colorSpace: CGColorSpace, bitmapInfo: CGBitmapInfo,
    renderingIntent: CGColorRenderingIntent = .defaultIntent
  ) {
    isStraightRGBA =
      (bitsPerComponent, bitsPerPixel) == (8, 32) && colorSpace.model == .rgb
      && bitmapInfo.rawValue == CGImageAlphaInfo.last.rawValue
  }
}

/// Rows are padded, as vImage pads them.
public func vImageBuffer_InitWithCGImage(
  _ buffer: UnsafeMutablePointer<vImage_Buffer>, _ format: UnsafeMutablePointer<vImage_CGImageFormat>,
  _ backgroundColor: UnsafePointer<CGFloat>!, _ image: CGImage, _ flags: vImage_Flags
) -> vImage_Error {
  guard format.pointee.isStraightRGBA else { return -21773 }  // kvImageInvalidImageFormat
  let rowBytes = image.width * 4 + 20
  let data = malloc(rowBytes * image.height)!
  memset(data, 0xAB, rowBytes * image.height)
  image.rgba.withUnsafeBytes { source in
    for row in 0..<image.height {
      memcpy(data + row * rowBytes, source.baseAddress! + row * image.width * 4, image.width * 4)
    }
  }
  buffer.pointee.data = data
  buffer.pointee.rowBytes = rowBytes
  buffer.pointee.width = vImagePixelCount(image.width)
  buffer.pointee.height = vImagePixelCount(image.height)
  return kvImageNoError
}
