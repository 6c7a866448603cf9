// SPDX-License-Identifier: Apache-2.0

/// One object that was found in an image, and where.
public struct Detection: Equatable, Sendable {
  /// The number of the class: its line in labels.txt, counted from 0.
  public let index: Int
  public let label: String
  /// How certain the network is of it, from 0 to 1.
  public let score: Double
  /// The edges of the box in pixels of the upright image, from its upper left corner; whole or not.
  public let left: Double
  public let top: Double
  public let right: Double
  public let bottom: Double
}
