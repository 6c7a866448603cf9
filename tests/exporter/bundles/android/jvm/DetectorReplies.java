package org.mbexport.wrapper;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/** What a test asks of the wrapper of a detector. */
public final class DetectorReplies extends Questions {
    public static void main(String[] arguments) throws IOException {
        new DetectorReplies().answerAll();
    }

    @Override
    byte[] reply(String question, byte[][] given) throws IOException {
        ByteBuffer[] outputs = new ByteBuffer[4];
        for (int i = 0; i < outputs.length; i++) {
            outputs[i] = ByteBuffer.wrap(given[i]).order(ByteOrder.LITTLE_ENDIAN);
        }
        Answer answer = new Answer(outputs[0], outputs[1], outputs[2], outputs[3]);
        if (question.equals("faults")) {
            List<Detection> found = answer.detections(settings.labels, 1, 1, 0);
            return String.join("\n", SelfTest.faults(settings.cases.get(0), found, settings)).getBytes("UTF-8");
        }
        int[] size = ints(given[4]);
        double minScore = ByteBuffer.wrap(given[5]).getDouble();
        return told(answer.detections(settings.labels, size[0], size[1], minScore));
    }

    private static byte[] told(List<Detection> found) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream told = new DataOutputStream(bytes);
        for (Detection each : found) {
            told.writeInt(each.index);
            for (double value : new double[] {each.score, each.left, each.top, each.right, each.bottom}) {
                told.writeDouble(value);
            }
        }
        return bytes.toByteArray();
    }
}
