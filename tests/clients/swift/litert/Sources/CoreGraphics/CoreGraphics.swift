import Foundation

public typealias CFString = String

public enum CGColorSpaceModel { case monochrome, rgb, indexed }

public final class CGColorSpace {
  public static let sRGB: CFString = "sRGB"
  public let model: CGColorSpaceModel

  public init?(name: CFString) { model = .rgb }

  public init(of model: CGColorSpaceModel) { self.model = model }
}

public enum CGImageAlphaInfo: UInt32 {
  case none, premultipliedLast, premultipliedFirst, last, first, noneSkipLast, noneSkipFirst, alphaOnly
}

public struct CGBitmapInfo: OptionSet {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
}

public enum CGColorRenderingIntent { case defaultIntent }

/// An image that is RGBA with straight alpha already.
public final class CGImage {
  public let width: Int
  public let height: Int
  public let rgba: [UInt8]
  public var colorSpace: CGColorSpace?

  public init(rgba: [UInt8], width: Int, height: Int) {
    (self.rgba, self.width, self.height) = (rgba, width, height)
  }
}
