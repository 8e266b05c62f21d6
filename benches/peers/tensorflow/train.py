#!/usr/bin/env python3
"""Trains case1 or case2 with Keras and TensorFlow on the CPU for some seconds, on noise; prints one line of JSON.

train.py MODEL BATCH SECONDS: plain SGD; a step is one `tf.function`.
"""
import json
import os
import resource
import sys
import time

started = time.perf_counter()
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["KERAS_BACKEND"] = "tensorflow"
import keras
import tensorflow as tf
from keras import layers


def network(case2):
    pool = [layers.MaxPooling2D(2)] if case2 else []
    return keras.Sequential([
        keras.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu"), *pool,
        layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(2), layers.Dropout(0.25), layers.Flatten(),
        layers.Dense(128, activation="relu"), layers.Dropout(0.5), layers.Dense(10),
    ])


def main(model, batch, seconds):
    threads = len(os.sched_getaffinity(0))
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    keras.utils.set_random_seed(1)
    net = network(model == "case2")
    optimizer = keras.optimizers.SGD(1e-6)
    optimizer.build(net.trainable_variables)
    cost = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # The data handling of a step: select rows of a set.
    rows = 60 * batch
    images = tf.random.uniform((rows, 28, 28, 1))
    labels = tf.range(rows) % 10

    @tf.function
    def step():
        drawn = tf.random.uniform((batch,), maxval=rows, dtype=tf.int32)
        with tf.GradientTape() as tape:
            loss = cost(tf.gather(labels, drawn), net(tf.gather(images, drawn), training=True))
        weights = net.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
        return loss

    step().numpy()
    first = time.perf_counter() - started
    for _ in range(20):
        step().numpy()
    clock, steps = time.perf_counter(), 0
    while time.perf_counter() - clock < seconds:
        for _ in range(9):
            step()
        step().numpy()
        steps += 10
    rate = steps * batch / (time.perf_counter() - clock)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"images_per_second": round(rate, 1), "start_seconds": round(first, 2), "peak_memory": memory}))


main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
