"""ONNX: conversion from .tflite, graph passes, and onnxruntime."""
