// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What went wrong, in one line: what, what was found, what would be right.
public struct ClassifierError: Error, Equatable, LocalizedError, CustomStringConvertible {
  public let description: String

  public var errorDescription: String? { description }

  init(_ description: String) {
    self.description = description
  }
}
