"""MobileNet v2: its layers, cost, tf_keras network, published figures and pretrained weights."""
