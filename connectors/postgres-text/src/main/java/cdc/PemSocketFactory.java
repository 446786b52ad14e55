package cdc;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.List;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import org.postgresql.ssl.WrappedFactory;

/**
 * TLS to PostgreSQL with certificates that stand in the driver's configuration, not in files of the worker's machine.
 * The argument is {@code CAs.certificate.key}, each PEM in base64, each may be empty: without CAs those that Java knows
 * count, without a certificate none is shown. Whose name the server's certificate must have is the driver's concern
 * (sslmode). {@code driver.sslfactory} and {@code driver.sslfactoryarg} name it.
 */
public final class PemSocketFactory extends WrappedFactory {
    private static final char[] NO_PASSWORD = {};
    private static final List<String> KEY_KINDS = List.of("RSA", "EC", "EdDSA");

    public PemSocketFactory(String argument) throws Exception {
        String[] parts = argument.split("\\.", -1);
        if (parts.length != 3) throw new IllegalArgumentException("not CAs, certificate and key in base64");
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys(decoded(parts[1]), decoded(parts[2])), trusted(decoded(parts[0])), null);
        factory = context.getSocketFactory();
    }

    private static TrustManager[] trusted(String pem) throws Exception {
        KeyStore store = null;
        if (!pem.isEmpty()) {
            store = emptyStore();
            int number = 0;
            for (Certificate certificate : certificates(pem)) store.setCertificateEntry("ca" + number++, certificate);
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(store);
        return managers.getTrustManagers();
    }

    private static KeyManager[] keys(String certificate, String key) throws Exception {
        if (certificate.isEmpty()) return null;
        KeyStore store = emptyStore();
        store.setKeyEntry(
                "client",
                privateKey(key),
                NO_PASSWORD,
                certificates(certificate).toArray(new Certificate[0]));
        KeyManagerFactory managers = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        managers.init(store, NO_PASSWORD);
        return managers.getKeyManagers();
    }

    private static PrivateKey privateKey(String pem) throws GeneralSecurityException {
        byte[] der = Base64.getMimeDecoder().decode(pem.replaceAll("-----[A-Z ]+-----", ""));
        // PKCS#8 says of which kind a key is, and Java does not read it from there.
        for (String kind : KEY_KINDS) {
            try {
                return KeyFactory.getInstance(kind).generatePrivate(new PKCS8EncodedKeySpec(der));
            } catch (InvalidKeySpecException another) {
                continue;
            }
        }
        throw new InvalidKeySpecException("no key of " + String.join(", ", KEY_KINDS));
    }

    private static List<? extends Certificate> certificates(String pem) throws GeneralSecurityException {
        return List.copyOf(CertificateFactory.getInstance("X.509")
                .generateCertificates(new ByteArrayInputStream(pem.getBytes(StandardCharsets.US_ASCII))));
    }

    private static KeyStore emptyStore() throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        return store;
    }

    private static String decoded(String base64) {
        return new String(Base64.getDecoder().decode(base64), StandardCharsets.US_ASCII);
    }
}
