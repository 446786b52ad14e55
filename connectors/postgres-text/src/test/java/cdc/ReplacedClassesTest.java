package cdc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.DataInputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.lang.invoke.MethodType;
import java.net.URL;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.TreeSet;
import java.util.jar.JarFile;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Classes that stand in for Debezium's. Debezium was compiled against its own, and what it calls that ours has
 * not fails when it is called for the first time. So everything that its classes refer to is looked for in ours.
 */
class ReplacedClassesTest {
    private static final String POSTGRES = "io.debezium.connector.postgresql.";

    @ParameterizedTest
    @ValueSource(
            strings = {
                POSTGRES + "PostgresSchema",
                POSTGRES + "SourceInfo",
                POSTGRES + "connection.AbstractMessageDecoder",
                POSTGRES + "connection.WalPositionLocator",
                POSTGRES + "connection.pgoutput.ColumnMetaData",
                "io.debezium.connector.base.ChangeEventQueue",
                "io.debezium.pipeline.meters.CommonEventMeter",
                "io.debezium.pipeline.meters.StreamingMeter",
                "io.debezium.pipeline.source.snapshot.incremental.SignalBasedIncrementalSnapshotContext"
            })
    void hasWhateverDebeziumUsesOfIts(String name) throws Exception {
        Class<?> ours = Class.forName(name);
        assertEquals(codeOf(PostgresText.class), codeOf(ours));
        String path = name.replace('.', '/');
        List<URL> all = Collections.list(getClass().getClassLoader().getResources(path + ".class"));
        assertEquals(2, all.size(), "ours and Debezium's, which it stands in for");
        TreeSet<String> missing = new TreeSet<>();
        int used = 0;
        for (String jar : System.getProperty("java.class.path").split(File.pathSeparator)) {
            if (!Path.of(jar).getFileName().toString().matches("debezium-.*\\.jar")) continue;
            try (JarFile file = new JarFile(jar)) {
                for (var entry : Collections.list(file.entries())) {
                    String from = entry.getName();
                    if (!from.endsWith(".class") || from.startsWith(path + ".") || from.startsWith(path + "$"))
                        continue;
                    for (Member member : membersOf(path, file.getInputStream(entry))) {
                        used += 1;
                        if (!has(ours, member)) missing.add(member + " of " + from);
                    }
                }
            }
        }
        assertTrue(used > 0, "nothing of Debezium's refers to it any more");
        assertEquals(List.of(), List.copyOf(missing));
    }

    private static URL codeOf(Class<?> type) {
        return type.getProtectionDomain().getCodeSource().getLocation();
    }

    private record Member(String name, String descriptor) {}

    private static boolean has(Class<?> type, Member member) {
        for (Class<?> at = type; at != null; at = at.getSuperclass()) if (declares(at, member)) return true;
        return interfacesOf(type).anyMatch(one -> declares(one, member));
    }

    private static Stream<Class<?>> interfacesOf(Class<?> type) {
        Stream<Class<?>> own =
                Arrays.stream(type.getInterfaces()).flatMap(one -> Stream.concat(Stream.of(one), interfacesOf(one)));
        return type.getSuperclass() == null ? own : Stream.concat(own, interfacesOf(type.getSuperclass()));
    }

    private static boolean declares(Class<?> type, Member member) {
        Stream<MethodType> found = member.name.equals("<init>")
                ? Arrays.stream(type.getDeclaredConstructors())
                        .map(one -> MethodType.methodType(void.class, one.getParameterTypes()))
                : Arrays.stream(type.getDeclaredMethods())
                        .filter(one -> one.getName().equals(member.name))
                        .map(one -> MethodType.methodType(one.getReturnType(), one.getParameterTypes()));
        Stream<String> fields = Arrays.stream(type.getDeclaredFields())
                .filter(one -> one.getName().equals(member.name))
                .map(one -> one.getType().descriptorString());
        return Stream.concat(found.map(MethodType::descriptorString), fields).anyMatch(member.descriptor::equals);
    }

    /** The members of a class that another one's constant pool names (JVMS 4.4). */
    private static List<Member> membersOf(String owner, InputStream classFile) throws IOException {
        try (DataInputStream in = new DataInputStream(classFile)) {
            in.skipNBytes(8);
            int count = in.readUnsignedShort();
            String[] texts = new String[count];
            int[][] pairs = new int[count][];
            List<int[]> references = new ArrayList<>();
            for (int i = 1; i < count; i += 1) {
                int tag = in.readUnsignedByte();
                switch (tag) {
                    case 1 -> texts[i] = in.readUTF();
                    case 3, 4, 17, 18 -> in.skipNBytes(4);
                    case 5, 6 -> {
                        in.skipNBytes(8);
                        i += 1;
                    }
                    case 7, 8, 16, 19, 20 -> pairs[i] = new int[] {in.readUnsignedShort()};
                    case 15 -> in.skipNBytes(3);
                    case 9, 10, 11, 12 -> {
                        pairs[i] = new int[] {in.readUnsignedShort(), in.readUnsignedShort()};
                        if (tag != 12) references.add(pairs[i]);
                    }
                    default -> throw new IOException("no such tag: " + tag);
                }
            }
            return references.stream()
                    .filter(pair -> owner.equals(texts[pairs[pair[0]][0]]))
                    .map(pair -> new Member(texts[pairs[pair[1]][0]], texts[pairs[pair[1]][1]]))
                    .toList();
        }
    }
}
