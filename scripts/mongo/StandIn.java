import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

/**
 * mongo-java-server in memory, on loopback. Arguments: port, wire version (9 is MongoDB 4.4, the oldest that the driver
 * takes), and `oplog` for change streams.
 */
class StandIn {
  public static void main(String[] arguments) {
    int wireVersion = Integer.parseInt(arguments[1]);
    MemoryBackend backend = new MemoryBackend();
    backend.version(new MongoVersion() {
      public List<Integer> getVersionArray() { return List.of(4, 4, 0); }
      public int getWireVersion() { return wireVersion; }
    });
    if (arguments.length > 2 && arguments[2].equals("oplog")) backend.enableOplog();
    new MongoServer(backend).bind("127.0.0.1", Integer.parseInt(arguments[0]));
  }
}
