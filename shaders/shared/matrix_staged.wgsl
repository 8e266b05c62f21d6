// shared / matrix_staged
//   product[m,n] = finish(sum over k of left(m,k) * right(k,n)),   m < M, n < 4 N4, k < K
//
//   The staged form of the matrix engine, for GPUs: a workgroup of ACROSS x DOWN invocations computes a tile of
//   TILE_ROWS * DOWN rows by TILE_COLUMNS4 * ACROSS vec4 of columns together. The invocations load DEPTH terms of both
//   operands at a time into workgroup memory, in pieces of four by four elements, and multiply from there. While they
//   multiply, the next pieces are already being loaded into registers. With two BUFFERS in turns, the next pieces can
//   be stored while other invocations still multiply.
//
//   In workgroup memory, both operands are stored term by term, in vec4 along m and n, whatever their layout in
//   storage. The rows and columns of an invocation are DOWN and ACROSS vec4 apart, so that adjacent invocations access
//   adjacent addresses.
//
//   With BIAS, the workgroups of the first row of tiles also sum the columns of the right operand, whose terms they
//   have in workgroup memory: the gradient of the biases. `store_bias` stores the sums.
//
//   The address map and the epilogue are those of matrix_register. `store_rows` stores four rows of a vec4 of columns.
// with: shared/left, shared/linear, shared/right_buffer | right_texture, shared/bias_nothing | bias_row | bias_tensor
// with: shared/rows_each | conv2d/rows_pooled

const M = 64u;
const N4 = 16u;
const K = 64u;
const TILE_ROWS = 4u;
const TILE_COLUMNS4 = 1u;
const ACROSS = 8u;
const DOWN = 8u;
const DEPTH = 16u;
const BUFFERS = 2u;
const SPLIT = 1u;
const CHUNK = 64u;
const TILES_ACROSS = 2u;
const TILES_DOWN = 2u;

@group(0) @binding(2) var<storage, read_write> product: array<vec4<f32>>;

const INVOCATIONS = ACROSS * DOWN;
const TILE_ROWS4 = TILE_ROWS / 4u;
const BLOCK_ROWS4 = TILE_ROWS4 * DOWN;
const BLOCK_COLUMNS4 = TILE_COLUMNS4 * ACROSS;
const LEFT_PIECES = BLOCK_ROWS4 * DEPTH / 4u;
const RIGHT_PIECES = BLOCK_COLUMNS4 * DEPTH / 4u;
const LEFT_EACH = (LEFT_PIECES + INVOCATIONS - 1u) / INVOCATIONS;
const RIGHT_EACH = (RIGHT_PIECES + INVOCATIONS - 1u) / INVOCATIONS;
// Number of rows of a left piece whose addresses are needed: rows are read in fours or one by one.
const ROWS_A_PIECE = 4u - 3u * u32(LEFT_ALONG_M);

// ANCHOR: banks
// Eight adjacent invocations store their vec4 at once, each to four of the 32 banks of workgroup memory. If an operand
// is read along k, the pieces of adjacent invocations belong to DEPTH / 4 different groups of four terms; a gap behind
// each group spreads these over the banks.
const SPREAD = 32u / DEPTH;
const LEFT_GAP = u32(!LEFT_ALONG_M) * ((SPREAD + 8u - 4u * BLOCK_ROWS4 % 8u) % 8u);
const RIGHT_GAP = u32(RIGHT_ALONG_K) * ((SPREAD + 8u - 4u * BLOCK_COLUMNS4 % 8u) % 8u);
// ANCHOR_END: banks
const LEFT_FOUR = 4u * BLOCK_ROWS4 + LEFT_GAP;
const RIGHT_FOUR = 4u * BLOCK_COLUMNS4 + RIGHT_GAP;
const LEFT_BUFFER = DEPTH / 4u * LEFT_FOUR;
const RIGHT_BUFFER = DEPTH / 4u * RIGHT_FOUR;

var<workgroup> left_tile: array<vec4<f32>, BUFFERS * LEFT_BUFFER>; // [buffer][term / 4][term % 4][m / 4]
var<workgroup> right_tile: array<vec4<f32>, BUFFERS * RIGHT_BUFFER>; // [buffer][term / 4][term % 4][n / 4]

// Number of invocations that share a column sum: each adds every DOWN-th term.
const BIAS_LANES = min(DOWN, DEPTH);

// The position of a piece in its tile: its vec4 of rows or columns, and its first term divided by four. Pieces are
// numbered along the terms first if the operand is read along k, so that adjacent invocations read adjacent addresses.
fn place(piece: u32, width4: u32, along_k: bool) -> vec2<u32> {
    if along_k {
        return vec2<u32>(piece / (DEPTH / 4u), piece % (DEPTH / 4u));
    }
    return vec2<u32>(piece % width4, piece / width4);
}

fn left_place(piece: u32) -> vec2<u32> {
    return place(piece, BLOCK_ROWS4, !LEFT_ALONG_M);
}

fn right_place(piece: u32) -> vec2<u32> {
    return place(piece, BLOCK_COLUMNS4, RIGHT_ALONG_K);
}

// The rows of a left piece of the tile from row 4 m4 on, as the address map describes them. They are the same for all
// terms, and some address maps divide a lot.
fn rows_of(piece: u32, m4: u32) -> array<vec3<u32>, ROWS_A_PIECE> {
    let own = m4 + left_place(piece).x;
    var rows: array<vec3<u32>, ROWS_A_PIECE>;
    for (var q = 0u; q < ROWS_A_PIECE; q++) {
        if LEFT_ALONG_M {
            rows[q] = row_left(min(own, M / 4u - 1u));
        } else {
            rows[q] = row_left(min(4u * own + q, M - 1u));
        }
    }
    return rows;
}

// Terms k to k + 3 (the columns) of four rows; zero from `end` on.
fn left_piece(own: array<vec3<u32>, ROWS_A_PIECE>, k: u32, end: u32) -> mat4x4<f32> {
    var rows = own;
    var piece: mat4x4<f32>;
    if LEFT_ALONG_M {
        for (var q = 0u; q < 4u; q++) {
            let term = left_at(rows[0], col_left(min(k + q, K - 1u)));
            piece[q] = select(vec4<f32>(0.0), term, k + q < end);
        }
        return piece;
    }
    let col = col_left(min(k, K - 4u) / 4u);
    for (var q = 0u; q < ROWS_A_PIECE; q++) {
        let terms = left_at(rows[q], col);
        piece[q] = select(vec4<f32>(0.0), terms, k < end);
    }
    return transpose(piece);
}

// Terms k to k + 3 (the columns) of columns 4 n4 to 4 n4 + 3 of the product.
fn right_piece(n4: u32, k: u32) -> mat4x4<f32> {
    let n = min(n4, N4 - 1u);
    var piece: mat4x4<f32>;
    if RIGHT_ALONG_K {
        let row = row_right(min(k, K - 4u) / 4u);
        for (var q = 0u; q < 4u; q++) {
            piece[q] = load_right(row + col_right(4u * n + q));
        }
        return transpose(piece);
    }
    for (var q = 0u; q < 4u; q++) {
        piece[q] = load_right(row_right(min(k + q, K - 1u)) + col_right(n));
    }
    return piece;
}

fn stage_left(piece: u32, buffer: u32, terms: mat4x4<f32>) {
    if piece < LEFT_PIECES {
        let at = left_place(piece);
        for (var q = 0u; q < 4u; q++) {
            left_tile[buffer * LEFT_BUFFER + at.y * LEFT_FOUR + q * BLOCK_ROWS4 + at.x] = terms[q];
        }
    }
}

fn stage_right(piece: u32, buffer: u32, terms: mat4x4<f32>) {
    if piece < RIGHT_PIECES {
        let at = right_place(piece);
        for (var q = 0u; q < 4u; q++) {
            right_tile[buffer * RIGHT_BUFFER + at.y * RIGHT_FOUR + q * BLOCK_COLUMNS4 + at.x] = terms[q];
        }
    }
}

// ANCHOR: main
@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let tile = linear_group(group);
    let split = tile / (TILES_ACROSS * TILES_DOWN);
    let m4 = (tile / TILES_ACROSS) % TILES_DOWN * BLOCK_ROWS4;
    let n4 = tile % TILES_ACROSS * BLOCK_COLUMNS4;
    let x = local % ACROSS;
    let y = local / ACROSS;
    let first = split * CHUNK;
    let end = min(first + CHUNK, K);

    var rows: array<array<vec3<u32>, ROWS_A_PIECE>, LEFT_EACH>;
    var next_left: array<mat4x4<f32>, LEFT_EACH>;
    for (var i = 0u; i < LEFT_EACH; i++) {
        let piece = local + i * INVOCATIONS;
        rows[i] = rows_of(piece, m4);
        next_left[i] = left_piece(rows[i], first + 4u * left_place(piece).y, end);
    }
    var next_right: array<mat4x4<f32>, RIGHT_EACH>;
    for (var i = 0u; i < RIGHT_EACH; i++) {
        let at = right_place(local + i * INVOCATIONS);
        next_right[i] = right_piece(n4 + at.x, first + 4u * at.y);
    }
    let sums_bias = BIAS && m4 == 0u;
    var bias_sums: array<vec4<f32>, TILE_COLUMNS4>;
    var acc: array<array<vec4<f32>, TILE_COLUMNS4>, TILE_ROWS>;
    var buffer = 0u;
    for (var k = first; k < end; k += DEPTH) {
        for (var i = 0u; i < LEFT_EACH; i++) {
            stage_left(local + i * INVOCATIONS, buffer, next_left[i]);
        }
        for (var i = 0u; i < RIGHT_EACH; i++) {
            stage_right(local + i * INVOCATIONS, buffer, next_right[i]);
        }
        workgroupBarrier();
        if k + DEPTH < end {
            for (var i = 0u; i < LEFT_EACH; i++) {
                let at = left_place(local + i * INVOCATIONS);
                next_left[i] = left_piece(rows[i], k + DEPTH + 4u * at.y, end);
            }
            for (var i = 0u; i < RIGHT_EACH; i++) {
                let at = right_place(local + i * INVOCATIONS);
                next_right[i] = right_piece(n4 + at.x, k + DEPTH + 4u * at.y);
            }
        }
        let left0 = buffer * LEFT_BUFFER + y;
        let right0 = buffer * RIGHT_BUFFER + x;
        for (var t = 0u; t < DEPTH; t++) {
            var b: array<vec4<f32>, TILE_COLUMNS4>;
            for (var j = 0u; j < TILE_COLUMNS4; j++) {
                b[j] = right_tile[right0 + t / 4u * RIGHT_FOUR + t % 4u * BLOCK_COLUMNS4 + j * ACROSS];
            }
            for (var i = 0u; i < TILE_ROWS4; i++) {
                let a = left_tile[left0 + t / 4u * LEFT_FOUR + t % 4u * BLOCK_ROWS4 + i * DOWN];
                for (var j = 0u; j < TILE_COLUMNS4; j++) {
                    acc[4u * i][j] = fma(vec4<f32>(a.x), b[j], acc[4u * i][j]);
                    acc[4u * i + 1u][j] = fma(vec4<f32>(a.y), b[j], acc[4u * i + 1u][j]);
                    acc[4u * i + 2u][j] = fma(vec4<f32>(a.z), b[j], acc[4u * i + 2u][j]);
                    acc[4u * i + 3u][j] = fma(vec4<f32>(a.w), b[j], acc[4u * i + 3u][j]);
                }
            }
        }
        if sums_bias {
            // Terms past the end are clamped, not zero.
            for (var t = y; t < min(DEPTH, end - k); t += DOWN) {
                for (var j = 0u; j < TILE_COLUMNS4; j++) {
                    bias_sums[j] += right_tile[right0 + t / 4u * RIGHT_FOUR + t % 4u * BLOCK_COLUMNS4 + j * ACROSS];
                }
            }
        }
        if BUFFERS == 1u {
            workgroupBarrier();
        }
        buffer = (buffer + 1u) % BUFFERS;
    }
    if sums_bias {
        // The invocations of a column exchange their sums in the memory of the tile.
        workgroupBarrier();
        if y < BIAS_LANES {
            for (var j = 0u; j < TILE_COLUMNS4; j++) {
                right_tile[y * BLOCK_COLUMNS4 + j * ACROSS + x] = bias_sums[j];
            }
        }
        workgroupBarrier();
        for (var j = 0u; j < TILE_COLUMNS4; j++) {
            let n = n4 + j * ACROSS + x;
            if y == 0u && split < SPLIT && n < N4 {
                for (var lane = 1u; lane < BIAS_LANES; lane++) {
                    bias_sums[j] += right_tile[lane * BLOCK_COLUMNS4 + j * ACROSS + x];
                }
                store_bias(split, n, bias_sums[j]);
            }
        }
    }
    for (var j = 0u; j < TILE_COLUMNS4; j++) {
        let n = n4 + j * ACROSS + x;
        let column = column_term(min(n, N4 - 1u));
        for (var i = 0u; i < TILE_ROWS4; i++) {
            let m = 4u * (m4 + i * DOWN + y);
            if split < SPLIT && m < M && n < N4 {
                let i4 = 4u * i;
                let sums = array<vec4<f32>, 4>(acc[i4][j], acc[i4 + 1u][j], acc[i4 + 2u][j], acc[i4 + 3u][j]);
                store_rows(split, m, n, column, sums);
            }
        }
    }
}
// ANCHOR_END: main
