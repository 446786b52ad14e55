package io.debezium.connector.base;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.debezium.pipeline.Sizeable;
import io.debezium.util.LoggingContext;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(60)
class ChangeEventQueueTest {
    private record Item(int number, long objectSize) implements Sizeable {}

    private static ChangeEventQueue<Item> queue(int batch, int size, long bytes) {
        return new ChangeEventQueue.Builder<Item>()
                .maxBatchSize(batch)
                .maxQueueSize(size)
                .maxQueueSizeInBytes(bytes)
                .loggingContextSupplier(() -> LoggingContext.forConnector("test", "test", "test"))
                .build();
    }

    private static List<Integer> numbers(List<Item> items) {
        return items.stream().map(Item::number).toList();
    }

    private static CompletableFuture<Void> inAnotherThread(Work work) {
        return CompletableFuture.runAsync(() -> {
            try {
                work.run();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
    }

    private interface Work {
        void run() throws InterruptedException;
    }

    @ParameterizedTest
    @CsvSource({"1,1,0", "1024,4096,0", "16,17,0", "1024,4096,500", "1024,4096,1", "3,2,0"})
    void everythingComesOnceAndInOrderWhateverTheLimits(int batch, int size, long bytes) throws Exception {
        int count = 20_000;
        ChangeEventQueue<Item> queue = queue(batch, size, bytes);
        CompletableFuture<Void> writing = inAnotherThread(() -> {
            for (int i = 0; i < count; i += 1) queue.enqueue(new Item(i, i % 100));
        });
        List<Integer> found = new ArrayList<>();
        while (found.size() < count) {
            List<Item> polled = queue.poll();
            assertTrue(polled.size() <= batch);
            found.addAll(numbers(polled));
        }
        writing.get();
        assertEquals(IntStream.range(0, count).boxed().toList(), found);
        assertEquals(size, queue.remainingCapacity());
        assertEquals(0, queue.currentQueueSizeInBytes());
    }

    @Test
    void nothingIsAnEmptyBatchAfterAWhile() throws Exception {
        assertEquals(List.of(), queue(10, 10, 0).poll());
    }

    @Test
    void aFullQueueIsWaitedFor() throws Exception {
        ChangeEventQueue<Item> queue = queue(1, 1, 0);
        queue.enqueue(new Item(1, 0));
        CompletableFuture<Void> second = inAnotherThread(() -> queue.enqueue(new Item(2, 0)));
        assertThrows(java.util.concurrent.TimeoutException.class, () -> second.get(200, TimeUnit.MILLISECONDS));
        assertEquals(List.of(1), numbers(queue.poll()));
        second.get();
        assertEquals(List.of(2), numbers(queue.poll()));
    }

    @Test
    void whatFailedTheReaderEndsEveryPoll() throws Exception {
        ChangeEventQueue<Item> queue = queue(10, 10, 0);
        queue.enqueue(new Item(1, 0));
        RuntimeException why = new IllegalStateException("the connection is gone");
        queue.producerException(why);
        assertSame(why, assertThrows(IllegalStateException.class, queue::poll));
        assertSame(why, assertThrows(IllegalStateException.class, queue::poll));
    }

    @Test
    void anInterruptedReaderEnds() {
        ChangeEventQueue<Item> queue = queue(10, 10, 0);
        Thread.currentThread().interrupt();
        assertThrows(InterruptedException.class, () -> queue.enqueue(new Item(1, 0)));
        assertFalse(Thread.currentThread().isInterrupted());
    }

    @Test
    void theLastOneIsHeldBackUntilItIsKnownToBe() throws Exception {
        ChangeEventQueue<Item> queue = queue(10, 10, 0);
        queue.enableBuffering();
        assertTrue(queue.isBuffered());
        for (int i = 1; i <= 3; i += 1) queue.enqueue(new Item(i, 0));
        assertEquals(List.of(1, 2), numbers(queue.poll()));
        assertThrows(IllegalStateException.class, queue::disableBuffering);
        queue.flushBuffer(item -> new Item(-item.number(), 0));
        queue.disableBuffering();
        queue.enqueue(new Item(4, 0));
        assertEquals(List.of(-3, 4), numbers(queue.poll()));
    }
}
