package com.google.ai.edge.litert;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;

/** Questions to the test at the other end, which asks LiteRT in Python. */
final class Pipe {
    private static final DataInputStream ANSWERS = new DataInputStream(System.in);
    private static final DataOutputStream QUESTIONS = new DataOutputStream(System.out);

    private Pipe() {
    }

    /** The answer's parts. Throws what LiteRT says if it refuses. */
    static synchronized byte[][] ask(String question, byte[]... given) throws LiteRtException {
        try {
            QUESTIONS.writeUTF(question);
            QUESTIONS.writeInt(given.length);
            for (byte[] each : given) {
                QUESTIONS.writeInt(each.length);
                QUESTIONS.write(each);
            }
            QUESTIONS.flush();
            boolean isWell = ANSWERS.readBoolean();
            byte[][] parts = new byte[ANSWERS.readInt()][];
            for (int i = 0; i < parts.length; i++) {
                parts[i] = new byte[ANSWERS.readInt()];
                ANSWERS.readFully(parts[i]);
            }
            if (!isWell) {
                throw new LiteRtException(504, new String(parts[0], "UTF-8"));
            }
            return parts;
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }
}
