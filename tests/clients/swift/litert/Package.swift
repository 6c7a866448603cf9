// swift-tools-version:5.9
import PackageDescription

// Stands for Google's Swift package of LiteRT, which has binaries for Apple's systems only: the same interface over
// the libLiteRt.so of LiteRT's Python wheel. The test writes the folder of that library here. Beside it stand modules
// with the few names of Apple's frameworks that a bundle uses, so that all of its code is compiled and run.
let library = "@LIBRARY@"
let apple = ["Accelerate", "CoreGraphics", "CoreVideo", "ImageIO", "UIKit"]

let package = Package(
  name: "LiteRT",
  products: [.library(name: "LiteRT", targets: ["LiteRT"] + apple)],
  targets: [
    .target(name: "CLiteRT"),
    .target(
      name: "LiteRT",
      dependencies: ["CLiteRT"],
      linkerSettings: [
        .unsafeFlags(["-L\(library)", "-lLiteRt", "-Xlinker", "-rpath", "-Xlinker", library])
      ]
    ),
    .target(name: "CoreGraphics"),
    .target(name: "CoreVideo"),
    .target(name: "ImageIO"),
    .target(name: "Accelerate", dependencies: ["CoreGraphics"]),
    .target(name: "UIKit", dependencies: ["CoreGraphics"]),
  ]
)
