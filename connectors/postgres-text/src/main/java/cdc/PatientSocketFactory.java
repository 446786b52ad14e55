package cdc;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import javax.net.SocketFactory;

/**
 * Sockets for the driver that wait for the next change instead of asking for it. Whether the stream has another
 * message the driver finds out with a read of 1 ms that ends in an exception; Debezium does that five times and then
 * sleeps for its poll interval: 250 exceptions a second while nothing happens, and a change waits for the sleep to
 * end. Such a read takes 25 ms here, and ends at once when something comes. What else the driver does waits no longer:
 * it uses this time-out for nothing else, those of a URL are whole seconds.
 */
public final class PatientSocketFactory extends SocketFactory {
    private static final int LOOK_MS = 1;
    private static final int WAIT_MS = 25;

    private static final class PatientSocket extends Socket {
        private int askedMs;

        @Override
        public void setSoTimeout(int ms) throws SocketException {
            super.setSoTimeout(ms == LOOK_MS ? WAIT_MS : ms);
            askedMs = ms;
        }

        @Override
        public int getSoTimeout() {
            return askedMs;
        }
    }

    @Override
    public Socket createSocket() {
        return new PatientSocket();
    }

    @Override
    public Socket createSocket(String host, int port) throws IOException {
        return connected(new InetSocketAddress(host, port), null);
    }

    @Override
    public Socket createSocket(InetAddress host, int port) throws IOException {
        return connected(new InetSocketAddress(host, port), null);
    }

    @Override
    public Socket createSocket(String host, int port, InetAddress local, int localPort) throws IOException {
        return connected(new InetSocketAddress(host, port), new InetSocketAddress(local, localPort));
    }

    @Override
    public Socket createSocket(InetAddress host, int port, InetAddress local, int localPort) throws IOException {
        return connected(new InetSocketAddress(host, port), new InetSocketAddress(local, localPort));
    }

    private static Socket connected(InetSocketAddress to, InetSocketAddress from) throws IOException {
        Socket socket = new PatientSocket();
        if (from != null) socket.bind(from);
        socket.connect(to);
        return socket;
    }
}
