package cdc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import org.junit.jupiter.api.Test;

class PatientSocketFactoryTest {
    @Test
    void aLookThatFindsNothingAtFirstSeesWhatComesSoonAfter() throws Exception {
        try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
                Socket socket = new PatientSocketFactory().createSocket()) {
            socket.connect(new InetSocketAddress(server.getInetAddress(), server.getLocalPort()));
            try (Socket other = server.accept()) {
                socket.setSoTimeout(1);
                assertEquals(1, socket.getSoTimeout());
                assertThrows(
                        SocketTimeoutException.class,
                        () -> socket.getInputStream().read());
                Thread late = new Thread(() -> {
                    try {
                        Thread.sleep(5);
                        other.getOutputStream().write(7);
                    } catch (Exception e) {
                        throw new IllegalStateException(e);
                    }
                });
                late.start();
                int read = -1;
                for (int looks = 0; read < 0 && looks < 400; looks++) {
                    try {
                        read = socket.getInputStream().read();
                    } catch (SocketTimeoutException e) {
                        read = -1;
                    }
                }
                assertEquals(7, read);
                late.join();
            }
        }
    }
}
