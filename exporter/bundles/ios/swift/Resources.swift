// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The files that lie beside the code: in a Swift package, in a pod or copied into an app.
enum Resources {
  private final class Anchor {}

  static func url(of file: String) throws -> URL {
    for bundle in bundles {
      if let found = bundle.url(forResource: file, withExtension: nil) {
        return found
      }
    }
    throw ClassifierError("the app's resources must hold \(file), got none of that name")
  }

  /// The lines of labels.txt, one for each class.
  static func labels() throws -> [String] {
    let content = try Data(contentsOf: url(of: Settings.labels))
    var lines = content.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true {
      lines.removeLast()
    }
    guard lines.count == Settings.classes else {
      throw ClassifierError("labels.txt must have \(Settings.classes) lines, got \(lines.count)")
    }
    return lines.map { String(decoding: $0, as: UTF8.self) }
  }

  private static var bundles: [Bundle] {
    #if SWIFT_PACKAGE
      return [Bundle.module]
    #else
      let places = [Bundle(for: Anchor.self), Bundle.main]
      let inside = places.compactMap { $0.url(forResource: Settings.name, withExtension: "bundle") }
      return inside.compactMap { Bundle(url: $0) } + places
    #endif
  }
}
