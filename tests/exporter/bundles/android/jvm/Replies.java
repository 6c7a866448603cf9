package org.mbexport.wrapper;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Properties;

/** What a test asks of the wrapper of a classifier. */
public final class Replies extends Questions {
    public static void main(String[] arguments) throws IOException {
        new Replies().answerAll();
    }

    @Override
    byte[] reply(String question, byte[][] given) throws IOException {
        switch (question) {
            case "property":
                Properties told = new Properties();
                told.load(new ByteArrayInputStream(given[0]));
                return told.getProperty("name").getBytes("UTF-8");
            case "tensor":
                return tensor(given[0], ints(given[1])[0]);
            default:
                return best(given[0]);
        }
    }

    private byte[] tensor(byte[] pixels, int size) {
        ByteBuffer tensor = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
        new Preprocess(settings).toTensor(pixels, tensor);
        return tensor.array();
    }

    private byte[] best(byte[] output) throws IOException {
        Scores scores = new Scores(settings);
        List<Label> labels = scores.best(
            scores.scores(scores.codes(output, ByteOrder.LITTLE_ENDIAN)), settings.labels.size());
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream told = new DataOutputStream(bytes);
        for (Label label : labels) {
            told.writeInt(label.index);
            told.writeDouble(label.score);
        }
        return bytes.toByteArray();
    }
}
