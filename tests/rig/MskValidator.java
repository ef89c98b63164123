/* SPDX-License-Identifier: Apache-2.0 */

import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.UnsupportedCallbackException;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerExtensionsValidatorCallback;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

/**
 * Lets in who has a token as Amazon MSK takes them: a presigned URL of kafka-cluster:Connect in base64url, whose
 * signature is computed anew with the secret of its access key. The identities stand in a file that is read for
 * each token: "ACCESS_KEY SECRET SESSION_TOKEN END_MS PRINCIPAL", "-" for no session token.
 */
public class MskValidator implements AuthenticateCallbackHandler {
    private static final String EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    private static final Set<String> NAMES = Set.of("Action", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date",
            "X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-SignedHeaders", "X-Amz-Signature", "User-Agent");

    private record Identity(String key, String secret, String session, long end, String principal) {}

    private record Token(String value, String principalName, Long startTimeMs, long lifetimeMs)
            implements OAuthBearerToken {
        @Override
        public Set<String> scope() {
            return Set.of();
        }
    }

    private Path identities;
    private String region;

    @Override
    public void configure(Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> entries) {
        Map<String, ?> options = entries.get(0).getOptions();
        identities = Path.of((String) options.get("identities"));
        region = (String) options.get("region");
    }

    @Override
    public void close() {}

    @Override
    public void handle(Callback[] callbacks) throws UnsupportedCallbackException {
        for (Callback callback : callbacks) {
            if (callback instanceof OAuthBearerValidatorCallback asked) {
                judge(asked);
            } else if (callback instanceof OAuthBearerExtensionsValidatorCallback asked) {
                asked.inputExtensions().map().keySet().forEach(asked::valid);
            } else {
                throw new UnsupportedCallbackException(callback);
            }
        }
    }

    private void judge(OAuthBearerValidatorCallback asked) {
        try {
            asked.token(check(asked.tokenValue()));
        } catch (Exception wrong) {
            System.err.println("MskValidator: refused: " + wrong);
            asked.error("Access denied: " + wrong.getMessage(), null, null);
        }
    }

    private static void must(boolean condition, String what) {
        if (!condition) {
            throw new IllegalArgumentException(what);
        }
    }

    private Token check(String value) throws Exception {
        must(!value.contains("="), "padding");
        String url = new String(Base64.getUrlDecoder().decode(value), StandardCharsets.UTF_8);
        URI uri = URI.create(url);
        must("https".equals(uri.getScheme()) && "/".equals(uri.getRawPath()), "not such a URL");
        must(("kafka." + region + ".amazonaws.com").equals(uri.getRawAuthority()), "another region or service");

        TreeMap<String, String> query = new TreeMap<>(); // as it stands, sorted
        for (String part : uri.getRawQuery().split("&")) {
            String[] pair = part.split("=", 2);
            must(NAMES.contains(pair[0]) && query.put(pair[0], pair[1]) == null, "parameter " + pair[0]);
        }
        String signature = query.remove("X-Amz-Signature");
        must(query.remove("User-Agent") != null, "no User-Agent");
        must("kafka-cluster%3AConnect".equals(query.get("Action")), "another action");
        must("AWS4-HMAC-SHA256".equals(query.get("X-Amz-Algorithm")), "another algorithm");
        must("host".equals(query.get("X-Amz-SignedHeaders")), "other headers are signed");
        must("900".equals(query.get("X-Amz-Expires")), "another life");

        String date = query.get("X-Amz-Date");
        String[] scope = decode(query.get("X-Amz-Credential")).split("/", 2);
        must((date.substring(0, 8) + "/" + region + "/kafka-cluster/aws4_request").equals(scope[1]), "another scope");
        Identity who = find(scope[0]);
        String session = query.containsKey("X-Amz-Security-Token") ? decode(query.get("X-Amz-Security-Token")) : "-";
        must(session.equals(who.session()), "another session token");
        must(sign(who.secret(), scope[1], date, query, uri.getRawAuthority()).equals(signature), "another signature");

        long begin = Instant.from(DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC)
                .parse(date)).toEpochMilli();
        long end = Math.min(begin + 900_000, who.end());
        must(end > System.currentTimeMillis(), "it has ended");
        System.err.println("MskValidator: let in " + who.key());
        return new Token(value, who.principal(), begin, end);
    }

    private Identity find(String key) throws Exception {
        for (String line : Files.readAllLines(identities)) {
            String[] word = line.split(" ");
            if (word[0].equals(key)) {
                return new Identity(word[0], word[1], word[2], Long.parseLong(word[3]), word[4]);
            }
        }
        throw new IllegalArgumentException("nobody has the access key " + key);
    }

    private static String decode(String text) {
        return URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
    }

    private static String sign(String secret, String scope, String date, TreeMap<String, String> query, String host)
            throws Exception {
        StringBuilder canonical = new StringBuilder("GET\n/\n");
        String between = "";
        for (Map.Entry<String, String> pair : query.entrySet()) {
            canonical.append(between).append(pair.getKey()).append('=').append(pair.getValue());
            between = "&";
        }
        canonical.append("\nhost:").append(host).append("\n\nhost\n").append(EMPTY_SHA256);
        byte[] hash = MessageDigest.getInstance("SHA-256").digest(bytes(canonical.toString()));
        byte[] key = bytes("AWS4" + secret);
        for (String part : scope.split("/")) {
            key = mac(key, part);
        }
        String text = "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + HexFormat.of().formatHex(hash);
        return HexFormat.of().formatHex(mac(key, text));
    }

    private static byte[] mac(byte[] key, String text) throws Exception {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(bytes(text));
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
