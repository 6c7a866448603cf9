public enum CGImagePropertyOrientation: UInt32 {
  case up = 1
  case upMirrored, down, downMirrored, leftMirrored, right, rightMirrored, left
}
