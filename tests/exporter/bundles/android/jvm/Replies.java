package org.mbexport.wrapper;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

/** Answers what a test asks of the wrapper, one question after the other: a JVM for each would take too long. */
public final class Replies {
    private Settings settings;

    public static void main(String[] arguments) throws IOException {
        DataInputStream questions = new DataInputStream(System.in);
        DataOutputStream replies = new DataOutputStream(System.out);
        System.setOut(new PrintStream(System.err));
        Replies self = new Replies();
        while (true) {
            String question;
            try {
                question = questions.readUTF();
            } catch (EOFException end) {
                return;
            }
            byte[][] given = new byte[questions.readInt()][];
            for (int i = 0; i < given.length; i++) {
                given[i] = new byte[questions.readInt()];
                questions.readFully(given[i]);
            }
            byte[] reply;
            boolean isWell = true;
            try {
                reply = self.reply(question, given);
            } catch (IllegalStateException | IllegalArgumentException error) {
                isWell = false;
                reply = error.getMessage().getBytes("UTF-8");
            }
            replies.writeBoolean(isWell);
            replies.writeInt(reply.length);
            replies.write(reply);
            replies.flush();
        }
    }

    private byte[] reply(String question, byte[][] given) throws IOException {
        switch (question) {
            case "settings":
                settings = Settings.read(new Given(given));
                return new byte[0];
            case "property":
                Properties told = new Properties();
                told.load(new ByteArrayInputStream(given[0]));
                return told.getProperty("name").getBytes("UTF-8");
            case "resized":
                int[] size = ints(given[0]);
                return new Preprocess(settings).resized(ints(given[1]), size[0], size[1]);
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

    private static int[] ints(byte[] content) {
        int[] values = new int[content.length / 4];
        ByteBuffer.wrap(content).asIntBuffer().get(values);
        return values;
    }

    private static final class Given extends Files {
        private final Map<String, byte[]> files = new HashMap<>();

        Given(byte[][] given) {
            files.put(Settings.FILE, given[0]);
            files.put(Settings.LABELS, given[1]);
        }

        @Override
        InputStream open(String name) {
            return new ByteArrayInputStream(files.get(name));
        }
    }
}
