@_exported import CoreGraphics

public final class UIImage {
  public enum Orientation: Int {
    case up, down, left, right, upMirrored, downMirrored, leftMirrored, rightMirrored
  }

  public let cgImage: CGImage?
  public let imageOrientation: Orientation

  public init(cgImage: CGImage?, orientation: Orientation) {
    (self.cgImage, imageOrientation) = (cgImage, orientation)
  }
}
