public typealias OSType = UInt32
public typealias CVReturn = Int32

public let kCVPixelFormatType_32BGRA: OSType = 0x4247_5241
public let kCVPixelFormatType_32RGBA: OSType = 0x5247_4241
public let kCVPixelFormatType_32ARGB: OSType = 0x0000_0020

public struct CVPixelBufferLockFlags: OptionSet {
  public static let readOnly = CVPixelBufferLockFlags(rawValue: 1)
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
}

public final class CVPixelBuffer {
  let width: Int
  let height: Int
  let bytesPerRow: Int
  let format: OSType
  let start: UnsafeMutableRawPointer
  var locks = 0

  public init(rows: [[UInt8]], width: Int, format: OSType) {
    (self.width, height, bytesPerRow, self.format) = (width, rows.count, rows[0].count, format)
    start = .allocate(byteCount: rows.count * rows[0].count, alignment: 16)
    start.copyMemory(from: rows.flatMap { $0 }, byteCount: rows.count * rows[0].count)
  }

  deinit {
    precondition(locks == 0)
    start.deallocate()
  }
}

@discardableResult
public func CVPixelBufferLockBaseAddress(_ buffer: CVPixelBuffer, _ flags: CVPixelBufferLockFlags) -> CVReturn {
  buffer.locks += 1
  return 0
}

@discardableResult
public func CVPixelBufferUnlockBaseAddress(_ buffer: CVPixelBuffer, _ flags: CVPixelBufferLockFlags) -> CVReturn {
  buffer.locks -= 1
  return 0
}

public func CVPixelBufferGetBaseAddress(_ buffer: CVPixelBuffer) -> UnsafeMutableRawPointer? {
  buffer.locks > 0 ? buffer.start : nil
}

public func CVPixelBufferGetPixelFormatType(_ buffer: CVPixelBuffer) -> OSType { buffer.format }
public func CVPixelBufferGetWidth(_ buffer: CVPixelBuffer) -> Int { buffer.width }
public func CVPixelBufferGetHeight(_ buffer: CVPixelBuffer) -> Int { buffer.height }
public func CVPixelBufferGetBytesPerRow(_ buffer: CVPixelBuffer) -> Int { buffer.bytesPerRow }
