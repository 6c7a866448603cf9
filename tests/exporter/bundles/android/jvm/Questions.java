package org.mbexport.wrapper;

import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;

/** Answers what a test asks of the wrapper, one question after the other: a JVM for each would take too long. */
abstract class Questions {
    /** What is known of the model. */
    Settings settings;

    /** Answers until there are no more questions. */
    final void answerAll() throws IOException {
        DataInputStream questions = new DataInputStream(System.in);
        DataOutputStream replies = new DataOutputStream(System.out);
        System.setOut(new PrintStream(System.err));
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
                reply = answer(question, given);
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

    /** What the wrapper of this task answers to a question of its own. */
    abstract byte[] reply(String question, byte[][] given) throws IOException;

    private byte[] answer(String question, byte[][] given) throws IOException {
        switch (question) {
            case "settings":
                settings = Settings.read(new Given(given));
                return new byte[0];
            case "resized":
                int[] size = ints(given[0]);
                return new Preprocess(settings).resized(ints(given[1]), size[0], size[1]);
            default:
                return reply(question, given);
        }
    }

    static int[] ints(byte[] content) {
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
