// SPDX-License-Identifier: Apache-2.0
#if canImport(Accelerate) && canImport(CoreGraphics) && canImport(CoreVideo)
  import Accelerate
  import CoreGraphics
  import CoreVideo
  import Foundation
  import ImageIO

  extension Classifier {
    /// All classes, the best first. The orientation is the image file's, or the camera's.
    public func classify(
      _ image: CGImage, orientation: CGImagePropertyOrientation = .up
    ) throws -> [Score] {
      let turned = try known(orientation)
      guard var format = straightFormat(of: image) else {
        throw ClassifierError("a CGImage must have pixels that RGBA can hold, got \(image)")
      }
      var buffer = vImage_Buffer()
      let flags = vImage_Flags(kvImageNoFlags)
      let status = vImageBuffer_InitWithCGImage(&buffer, &format, nil, image, flags)
      guard status == kvImageNoError, let start = buffer.data else {
        throw ClassifierError("a CGImage must be convertible to RGBA, got vImage's error \(status)")
      }
      defer { free(start) }
      let bytes = UnsafeRawBufferPointer(start: start, count: buffer.rowBytes * Int(buffer.height))
      return try classify(
        Pixels(
          bytes: bytes, width: Int(buffer.width), height: Int(buffer.height),
          bytesPerRow: buffer.rowBytes, order: .rgba, orientation: turned))
    }

    /// The same for a frame of the camera, whose output should be set to kCVPixelFormatType_32BGRA.
    public func classify(
      _ frame: CVPixelBuffer, orientation: CGImagePropertyOrientation = .up
    ) throws -> [Score] {
      let turned = try known(orientation)
      let order = try orderOfBytes(CVPixelBufferGetPixelFormatType(frame))
      CVPixelBufferLockBaseAddress(frame, .readOnly)
      defer { CVPixelBufferUnlockBaseAddress(frame, .readOnly) }
      guard let start = CVPixelBufferGetBaseAddress(frame) else {
        throw ClassifierError("a CVPixelBuffer must lie in memory, got none")
      }
      let height = CVPixelBufferGetHeight(frame)
      let bytesPerRow = CVPixelBufferGetBytesPerRow(frame)
      return try classify(
        Pixels(
          bytes: UnsafeRawBufferPointer(start: start, count: bytesPerRow * height),
          width: CVPixelBufferGetWidth(frame), height: height, bytesPerRow: bytesPerRow,
          order: order, orientation: turned))
    }
  }

  private func known(_ orientation: CGImagePropertyOrientation) throws -> Orientation {
    guard let known = Orientation(rawValue: orientation.rawValue) else {
      throw ClassifierError("the orientation must be 1 to 8, got \(orientation.rawValue)")
    }
    return known
  }

  /// RGBA of 8 bits with straight alpha. Colours stay in the image's own space: the network was shown bytes of files.
  private func straightFormat(of image: CGImage) -> vImage_CGImageFormat? {
    let own = image.colorSpace.flatMap { $0.model == .rgb ? $0 : nil }
    guard let space = own ?? CGColorSpace(name: CGColorSpace.sRGB) else { return nil }
    return vImage_CGImageFormat(
      bitsPerComponent: 8, bitsPerPixel: 32, colorSpace: space,
      bitmapInfo: CGBitmapInfo(rawValue: CGImageAlphaInfo.last.rawValue),
      renderingIntent: .defaultIntent)
  }

  private func orderOfBytes(_ format: OSType) throws -> Pixels.Order {
    switch format {
    case kCVPixelFormatType_32BGRA: return .bgrx
    case kCVPixelFormatType_32RGBA: return .rgbx
    case kCVPixelFormatType_32ARGB: return .xrgb
    default:
      throw ClassifierError(
        "a CVPixelBuffer must be kCVPixelFormatType_32BGRA, 32RGBA or 32ARGB, got format \(format)")
    }
  }
#endif

#if canImport(UIKit) && canImport(Accelerate)
  import UIKit

  extension Classifier {
    /// All classes, the best first; the image is turned upright as its own orientation says.
    public func classify(_ image: UIImage) throws -> [Score] {
      guard let pixels = image.cgImage else {
        throw ClassifierError("a UIImage must hold a CGImage, got one without (made of a CIImage?)")
      }
      return try classify(pixels, orientation: exif(image.imageOrientation))
    }
  }

  private func exif(_ orientation: UIImage.Orientation) -> CGImagePropertyOrientation {
    switch orientation {
    case .up: return .up
    case .down: return .down
    case .left: return .left
    case .right: return .right
    case .upMirrored: return .upMirrored
    case .downMirrored: return .downMirrored
    case .leftMirrored: return .leftMirrored
    case .rightMirrored: return .rightMirrored
    @unknown default: return .up
    }
  }
#endif
