"""MobileNet v3, small and large: its layers, cost, tf_keras network, published figures and pretrained weights."""
