"""TFLite: conversion from Keras, the file itself, its metadata, and the LiteRT interpreter."""
