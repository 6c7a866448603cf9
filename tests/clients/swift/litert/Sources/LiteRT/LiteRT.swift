// What a bundle needs of the interface of Google's package, by the same names and types.
import CLiteRT

public struct LiteRtError: Error {
  let status: Int32
}

private func check(_ status: Int32) throws {
  if status != 0 { throw LiteRtError(status: status) }
}

private func made(_ make: (UnsafeMutablePointer<Handle?>) -> Int32) throws -> Handle {
  var handle: Handle?
  try check(make(&handle))
  return handle!
}

public enum Accelerator: Int32 {
  case none = 0
  case cpu = 1
  case gpu = 2
  case npu = 4
}

public final class Environment {
  public enum Option {}

  let handle: Handle

  public init(options: [Option] = []) throws {
    handle = try made { LiteRtCreateEnvironment(0, nil, $0) }
  }

  deinit { LiteRtDestroyEnvironment(handle) }
}

public protocol ConcreteOptions {}

public final class CpuOptions: ConcreteOptions {
  var threads = 0

  public init() throws {}

  public func setNumThreads(_ numThreads: Int) throws { threads = numThreads }
}

public final class Options {
  let handle: Handle

  public init() throws {
    handle = try made { LiteRtCreateOptions($0) }
  }

  deinit { LiteRtDestroyOptions(handle) }

  public func setHardwareAccelerators(_ accelerators: Set<Accelerator>) throws {
    let mask = accelerators.reduce(Int32(0)) { $0 | $1.rawValue }
    try check(LiteRtSetOptionsHardwareAccelerators(handle, mask))
  }

  public func addConcreteOptions(_ concreteOptions: ConcreteOptions) throws {}
}

public final class TensorBuffer {
  var handle: Handle?

  init(_ handle: Handle) { self.handle = handle }

  deinit { LiteRtDestroyTensorBuffer(handle) }

  public var size: Int {
    var size = 0
    return LiteRtGetTensorBufferPackedSize(handle, &size) == 0 ? size : 0
  }

  public func write<T>(_ data: [T]) throws {
    try data.withUnsafeBytes { source in
      guard source.count == size else { throw LiteRtError(status: 1) }
      try locked(mode: 1) { $0.copyMemory(from: source.baseAddress!, byteCount: source.count) }
    }
  }

  public func read<T>() throws -> [T] {
    let count = size / MemoryLayout<T>.stride
    return try locked(mode: 0) {
      Array(UnsafeBufferPointer(start: $0.bindMemory(to: T.self, capacity: count), count: count))
    }
  }

  private func locked<R>(mode: Int32, _ body: (UnsafeMutableRawPointer) -> R) throws -> R {
    let address = try made { LiteRtLockTensorBuffer(handle, $0, mode) }
    defer { _ = LiteRtUnlockTensorBuffer(handle) }
    return body(address)
  }
}

public final class CompiledModel {
  private let environment: Environment
  private let model: Handle
  private let compiled: Handle

  public init(filePath: String, environment: Environment, options: Options? = nil) throws {
    self.environment = environment
    let model = try made { LiteRtCreateModelFromFile(environment.handle, filePath, $0) }
    self.model = model
    compiled = try made { LiteRtCreateCompiledModel(environment.handle, model, options?.handle, $0) }
  }

  deinit {
    LiteRtDestroyCompiledModel(compiled)
    LiteRtDestroyModel(model)
  }

  public func createInputBuffers(signatureIndex: Int = 0) throws -> [TensorBuffer] {
    [
      try buffer(
        LiteRtGetSignatureInputTensorByIndex, LiteRtGetCompiledModelInputBufferRequirements,
        signatureIndex, 0)
    ]
  }

  public func createOutputBuffers(signatureIndex: Int = 0) throws -> [TensorBuffer] {
    var count = 0
    try check(LiteRtGetNumSignatureOutputs(signature(signatureIndex), &count))
    return try (0..<count).map {
      try buffer(
        LiteRtGetSignatureOutputTensorByIndex, LiteRtGetCompiledModelOutputBufferRequirements,
        signatureIndex, $0)
    }
  }

  public func outputName(outputIndex: Int, signatureIndex: Int = 0) throws -> String {
    var name: UnsafePointer<CChar>?
    try check(LiteRtGetSignatureOutputName(signature(signatureIndex), outputIndex, &name))
    return String(cString: name!)
  }

  public func run(
    inputs: [TensorBuffer], outputs: [TensorBuffer], options: Options? = nil, signatureIndex: Int = 0
  ) throws {
    var (sources, targets) = (inputs.map(\.handle), outputs.map(\.handle))
    try check(
      LiteRtRunCompiledModel(
        compiled, signatureIndex, sources.count, &sources, targets.count, &targets))
  }

  private func signature(_ index: Int) throws -> Handle {
    try made { LiteRtGetModelSignature(model, index, $0) }
  }

  private func buffer(
    _ tensor: (Handle?, Int, UnsafeMutablePointer<Handle?>?) -> Int32,
    _ requirements: (Handle?, Int, Int, UnsafeMutablePointer<Handle?>?) -> Int32,
    _ signatureIndex: Int, _ at: Int
  ) throws -> TensorBuffer {
    let signature = try signature(signatureIndex)
    let end = try made { tensor(signature, at, $0) }
    let wanted = try made { requirements(compiled, signatureIndex, at, $0) }
    var type = TensorType()
    try check(LiteRtGetRankedTensorType(end, &type))
    return TensorBuffer(
      try made {
        LiteRtCreateManagedTensorBufferFromRequirements(environment.handle, &type, wanted, $0)
      })
  }
}
