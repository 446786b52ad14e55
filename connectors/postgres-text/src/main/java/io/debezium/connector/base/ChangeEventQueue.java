package io.debezium.connector.base;

import io.debezium.annotation.ThreadSafe;
import io.debezium.pipeline.Sizeable;
import io.debezium.util.LoggingContext;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Changes on their way from the thread that reads WAL to the one that sends them. Stands in for Debezium's class of this
 * name, whose <code>poll</code> ends when <code>poll.interval.ms</code> is over, and not before, unless a whole batch is
 * there: a change waits that long however little there is to send, and nothing at all is asked for 66 times a second.
 * Here it ends soon after the first change has come (those that come with it go with it), and sleeps where none comes.
 *
 * <p><code>poll.dispatch.interval.ms</code> is not known: cdc leaves it as it is, which is none.
 */
@ThreadSafe
public class ChangeEventQueue<T extends Sizeable> implements ChangeEventQueueMetrics {
    /** Connect asks a task to stop between two polls, and waits five seconds for it. */
    private static final int SLEEP_MS = 500;
    /** After so long a silence a change is one that somebody waits for; else more follow, and batches cost less. */
    private static final long SILENCE_NS = TimeUnit.MILLISECONDS.toNanos(20);
    /** The rest of a transaction follows its first change. */
    private static final int GATHER_MS = 2;

    private static final int GATHER_IN_FLOW_MS = 12;

    private final int maxBatchSize;
    private final int maxQueueSize;
    private final long maxQueueSizeInBytes;
    private final Supplier<LoggingContext.PreviousContext> loggingContext;
    private final QueueProvider<T> queue;

    private final Lock lock = new ReentrantLock();
    private final Condition somethingIsThere = lock.newCondition();
    private final Condition batchIsThere = lock.newCondition();
    private final Condition roomIsThere = lock.newCondition();
    private final Queue<Long> sizes = new ArrayDeque<>();
    private volatile long currentQueueSizeInBytes = 0;
    private RuntimeException producerException;

    /** Of the thread that reads alone: the last change of some sources is told apart only when the next one comes. */
    private boolean buffering;

    private final AtomicReference<T> buffered = new AtomicReference<>();

    private ChangeEventQueue(Builder<T> given) {
        maxBatchSize = given.maxBatchSize;
        maxQueueSize = given.maxQueueSize;
        maxQueueSizeInBytes = given.maxQueueSizeInBytes;
        loggingContext = given.loggingContextSupplier;
        buffering = given.buffering;
        queue = given.queueProvider;
    }

    public static class Builder<T extends Sizeable> {
        private int maxQueueSize;
        private int maxBatchSize;
        private Supplier<LoggingContext.PreviousContext> loggingContextSupplier;
        private long maxQueueSizeInBytes;
        private boolean buffering;
        private QueueProvider<T> queueProvider;

        public Builder<T> pollInterval(Duration pollInterval) {
            return this;
        }

        public Builder<T> pollDispatchInterval(Duration pollDispatchInterval) {
            return this;
        }

        public Builder<T> maxQueueSize(int size) {
            maxQueueSize = size;
            return this;
        }

        public Builder<T> maxBatchSize(int size) {
            maxBatchSize = size;
            return this;
        }

        public Builder<T> loggingContextSupplier(Supplier<LoggingContext.PreviousContext> supplier) {
            loggingContextSupplier = supplier;
            return this;
        }

        public Builder<T> maxQueueSizeInBytes(long bytes) {
            maxQueueSizeInBytes = bytes;
            return this;
        }

        public Builder<T> queueProvider(QueueProvider<T> provider) {
            queueProvider = provider;
            return this;
        }

        public Builder<T> buffering() {
            buffering = true;
            return this;
        }

        public ChangeEventQueue<T> build() {
            if (queueProvider == null) {
                DefaultQueueProvider<T> usual = new DefaultQueueProvider<>();
                usual.configure(Map.of("max.queue.size", String.valueOf(maxQueueSize)));
                queueProvider = usual;
            }
            return new ChangeEventQueue<>(this);
        }
    }

    /** Waits where the queue is full. */
    public void enqueue(T record) throws InterruptedException {
        if (record == null) return;
        if (Thread.interrupted()) throw new InterruptedException();
        T next = buffering ? buffered.getAndSet(record) : record;
        if (next != null) doEnqueue(next);
    }

    /** What is held back, as it is to be, now that it is known to be the last one. */
    public void flushBuffer(Function<T, T> modifier) throws InterruptedException {
        T last = buffered.getAndSet(null);
        if (last != null) doEnqueue(modifier.apply(last));
    }

    public void disableBuffering() {
        if (buffered.get() != null) throw new IllegalStateException("what is held back was not flushed");
        buffering = false;
    }

    public void enableBuffering() {
        buffering = true;
    }

    protected void doEnqueue(T record) throws InterruptedException {
        lock.lock();
        try {
            while (isFull()) roomIsThere.await();
            queue.enqueue(record);
            if (maxQueueSizeInBytes > 0) {
                long size = record.objectSize();
                sizes.add(size);
                currentQueueSizeInBytes += size;
            }
            if (queue.size() == 1) somethingIsThere.signal();
            if (isBatch()) batchIsThere.signal();
        } finally {
            lock.unlock();
        }
    }

    private boolean isFull() {
        return queue.size() >= maxQueueSize
                || (maxQueueSizeInBytes > 0 && currentQueueSizeInBytes >= maxQueueSizeInBytes);
    }

    private boolean isBatch() {
        return queue.size() >= maxBatchSize || isFull();
    }

    /** What is there, a batch at most; nothing where nothing has come for a while. */
    public List<T> poll() throws InterruptedException {
        LoggingContext.PreviousContext previous = loggingContext.get();
        try {
            lock.lock();
            try {
                long leftNs = TimeUnit.MILLISECONDS.toNanos(SLEEP_MS);
                while (queue.size() == 0 && producerException == null && leftNs > 0)
                    leftNs = somethingIsThere.awaitNanos(leftNs);
                boolean wasSilent = TimeUnit.MILLISECONDS.toNanos(SLEEP_MS) - leftNs > SILENCE_NS;
                leftNs = TimeUnit.MILLISECONDS.toNanos(wasSilent ? GATHER_MS : GATHER_IN_FLOW_MS);
                while (queue.size() > 0 && !isBatch() && producerException == null && leftNs > 0)
                    leftNs = batchIsThere.awaitNanos(leftNs);
                if (producerException != null) throw producerException;
                return drained();
            } finally {
                lock.unlock();
            }
        } finally {
            previous.restore();
        }
    }

    private List<T> drained() throws InterruptedException {
        int count = Math.min(queue.size(), maxBatchSize);
        List<T> records = new ArrayList<>(count);
        for (int i = 0; i < count; i += 1) {
            records.add(queue.poll());
            if (maxQueueSizeInBytes > 0) currentQueueSizeInBytes -= sizes.remove();
        }
        if (count > 0) roomIsThere.signalAll();
        return records;
    }

    /** From now on each poll ends with it: what is queued is read once more by the next task. */
    public void producerException(RuntimeException exception) {
        lock.lock();
        try {
            producerException = exception;
            somethingIsThere.signal();
            batchIsThere.signal();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public int totalCapacity() {
        return maxQueueSize;
    }

    @Override
    public int remainingCapacity() {
        return maxQueueSize - queue.size();
    }

    @Override
    public long maxQueueSizeInBytes() {
        return maxQueueSizeInBytes;
    }

    @Override
    public long currentQueueSizeInBytes() {
        return currentQueueSizeInBytes;
    }

    public boolean isBuffered() {
        return buffering;
    }

    public void close() {
        queue.close();
    }
}
