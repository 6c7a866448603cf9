"""SSD on MobileNet v1: its layers, cost, tf_keras network, anchors, published figures and pretrained weights."""
