-- Encodings and hashes, to be compared with any other implementation's.
SELECT hex(attest_canonical());
SELECT hex(attest_canonical(NULL));
SELECT hex(attest_canonical(1)), hex(attest_canonical(-1));
SELECT hex(attest_canonical(9223372036854775807)), hex(attest_canonical(-9223372036854775808));
SELECT hex(attest_canonical(1.0)), hex(attest_canonical(-0.0)), hex(attest_canonical(9e999));
SELECT hex(attest_canonical('')), hex(attest_canonical(x''));
SELECT hex(attest_canonical('a', x'61', 97, 97.0));
SELECT hex(attest_hash('a', x'61', 97, 97.0));
SELECT hex(attest_sha256('abc')), attest_sha256(NULL) IS NULL;
SELECT hex(merkle_leaf_hash('')), hex(merkle_node_hash(zeroblob(32), zeroblob(32)));
SELECT hex(merkle_root(value)) FROM json_each('[]');
SELECT hex(merkle_root(value)) FROM json_each('["a"]');
SELECT hex(merkle_root(value)) FROM json_each('["a","b","c"]');
SELECT attest_sha256(5);
SELECT merkle_node_hash(x'00', x'01');
SELECT merkle_root(value) FROM json_each('["a",null]');
