package org.mbexport.wrapper;

import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** Hashes of files, by which the wrapper knows them. */
final class Sha256 {
    private static final int BLOCK = 1 << 16;

    private Sha256() {
    }

    /** The hash of all that a stream gives, in lower-case hexadecimal. */
    static String of(InputStream stream) throws IOException {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException never) { // each Java and each Android has it
            throw new IllegalStateException(never);
        }
        byte[] block = new byte[BLOCK];
        for (int size = stream.read(block); size >= 0; size = stream.read(block)) {
            digest.update(block, 0, size);
        }
        StringBuilder text = new StringBuilder();
        for (byte each : digest.digest()) {
            text.append(Character.forDigit(each >> 4 & 0xF, 16)).append(Character.forDigit(each & 0xF, 16));
        }
        return text.toString();
    }
}
