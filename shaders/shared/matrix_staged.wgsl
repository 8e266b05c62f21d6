// shared / matrix_staged
//   product[m,n] = finish(sum over k of left(m,k) * right(k,n)),   m < M, n < 4 N4, k < K
//
//   The staged form of the matrix engine, for GPUs: a workgroup of ACROSS x DOWN invocations computes a tile of
//   TILE_ROWS * DOWN rows by TILE_COLUMNS4 * ACROSS vec4 of columns together. The invocations load DEPTH terms of both
//   operands at a time into workgroup memory, in pieces of four by four elements, and multiply from there. While they
//   multiply, the next pieces are already being loaded into registers.
//
//   In workgroup memory, both operands are stored term by term, in vec4 along m and n, whatever their layout in
//   storage. The rows and columns of an invocation are DOWN and ACROSS vec4 apart, so that adjacent invocations access
//   adjacent addresses.
//
//   With BIAS, the workgroups of the first row of tiles also sum the columns of the right operand, whose terms they
//   have in workgroup memory: the gradient of the biases. `store_bias` stores the sums.
//
//   The address map and the epilogue are those of matrix_register.
// with: shared/left, shared/linear, shared/right_buffer | right_texture, shared/bias_nothing | bias_row | bias_tensor
// with: shared/finish_nothing | finish_bias | finish_dropout | finish_producer

const M = 64u;
const N4 = 16u;
const K = 64u;
const TILE_ROWS = 4u;
const TILE_COLUMNS4 = 1u;
const ACROSS = 8u;
const DOWN = 8u;
const DEPTH = 16u;
const SPLIT = 1u;
const CHUNK = 64u;
const TILES_ACROSS = 2u;
const TILES_DOWN = 2u;

@group(0) @binding(2) var<storage, read_write> product: array<vec4<f32>>;

const TILE_ROWS4 = TILE_ROWS / 4u;
const BLOCK_ROWS4 = TILE_ROWS4 * DOWN;
const BLOCK_COLUMNS4 = TILE_COLUMNS4 * ACROSS;
const LEFT_PIECES = BLOCK_ROWS4 * DEPTH / 4u;
const RIGHT_PIECES = BLOCK_COLUMNS4 * DEPTH / 4u;
const PIECES_EACH = (LEFT_PIECES + RIGHT_PIECES + ACROSS * DOWN - 1u) / (ACROSS * DOWN);
// Number of invocations that share a column sum: each adds every DOWN-th term.
const BIAS_LANES = min(DOWN, DEPTH);

var<workgroup> left_tile: array<vec4<f32>, BLOCK_ROWS4 * DEPTH>; // [term][m / 4]
var<workgroup> right_tile: array<vec4<f32>, BLOCK_COLUMNS4 * DEPTH>; // [term][n / 4]

// Terms k to k + 3 (the columns) of rows 4 m4 to 4 m4 + 3; zero from `end` on.
fn left_piece(m4: u32, k: u32, end: u32) -> mat4x4<f32> {
    var piece: mat4x4<f32>;
    if LEFT_ALONG_M {
        let row = row_left(min(m4, M / 4u - 1u));
        for (var q = 0u; q < 4u; q++) {
            let term = left_at(row, col_left(min(k + q, K - 1u)));
            piece[q] = select(vec4<f32>(0.0), term, k + q < end);
        }
        return piece;
    }
    let col = col_left(min(k, K - 4u) / 4u);
    for (var q = 0u; q < 4u; q++) {
        let terms = left_at(row_left(min(4u * m4 + q, M - 1u)), col);
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

// The position of a piece in the tile. Pieces are numbered along the terms first if the operand is read along k, so
// that adjacent invocations read adjacent addresses.
fn place(piece: u32, width4: u32, along_k: bool) -> vec2<u32> {
    if along_k {
        return vec2<u32>(piece / (DEPTH / 4u), piece % (DEPTH / 4u) * 4u);
    }
    return vec2<u32>(piece % width4, piece / width4 * 4u);
}

fn fetch(piece: u32, m4: u32, n4: u32, k: u32, end: u32) -> mat4x4<f32> {
    if piece < LEFT_PIECES {
        let at = place(piece, BLOCK_ROWS4, !LEFT_ALONG_M);
        return left_piece(m4 + at.x, k + at.y, end);
    }
    let at = place(piece - LEFT_PIECES, BLOCK_COLUMNS4, RIGHT_ALONG_K);
    return right_piece(n4 + at.x, k + at.y);
}

fn stage(piece: u32, terms: mat4x4<f32>) {
    if piece < LEFT_PIECES {
        let at = place(piece, BLOCK_ROWS4, !LEFT_ALONG_M);
        for (var q = 0u; q < 4u; q++) {
            left_tile[(at.y + q) * BLOCK_ROWS4 + at.x] = terms[q];
        }
    } else if piece < LEFT_PIECES + RIGHT_PIECES {
        let at = place(piece - LEFT_PIECES, BLOCK_COLUMNS4, RIGHT_ALONG_K);
        for (var q = 0u; q < 4u; q++) {
            right_tile[(at.y + q) * BLOCK_COLUMNS4 + at.x] = terms[q];
        }
    }
}

// ANCHOR: main
@compute @workgroup_size(ACROSS * DOWN)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let tile = linear_group(group);
    let split = tile / (TILES_ACROSS * TILES_DOWN);
    let m4 = (tile / TILES_ACROSS) % TILES_DOWN * BLOCK_ROWS4;
    let n4 = tile % TILES_ACROSS * BLOCK_COLUMNS4;
    let x = local % ACROSS;
    let y = local / ACROSS;
    let first = split * CHUNK;
    let end = min(first + CHUNK, K);

    var next: array<mat4x4<f32>, PIECES_EACH>;
    for (var i = 0u; i < PIECES_EACH; i++) {
        next[i] = fetch(local + i * ACROSS * DOWN, m4, n4, first, end);
    }
    let sums_bias = BIAS && m4 == 0u;
    var bias_sums: array<vec4<f32>, TILE_COLUMNS4>;
    var acc: array<array<vec4<f32>, TILE_COLUMNS4>, TILE_ROWS>;
    for (var k = first; k < end; k += DEPTH) {
        for (var i = 0u; i < PIECES_EACH; i++) {
            stage(local + i * ACROSS * DOWN, next[i]);
        }
        workgroupBarrier();
        if k + DEPTH < end {
            for (var i = 0u; i < PIECES_EACH; i++) {
                next[i] = fetch(local + i * ACROSS * DOWN, m4, n4, k + DEPTH, end);
            }
        }
        for (var t = 0u; t < DEPTH; t++) {
            var b: array<vec4<f32>, TILE_COLUMNS4>;
            for (var j = 0u; j < TILE_COLUMNS4; j++) {
                b[j] = right_tile[t * BLOCK_COLUMNS4 + j * ACROSS + x];
            }
            for (var i = 0u; i < TILE_ROWS4; i++) {
                let a = left_tile[t * BLOCK_ROWS4 + i * DOWN + y];
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
                    bias_sums[j] += right_tile[t * BLOCK_COLUMNS4 + j * ACROSS + x];
                }
            }
        }
        workgroupBarrier();
    }
    if sums_bias {
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
        for (var i = 0u; i < TILE_ROWS; i++) {
            let m = 4u * (m4 + i / 4u * DOWN + y) + i % 4u;
            if split < SPLIT && m < M && n < N4 {
                let at = (split * PRODUCT_ROWS + m) * N4 + n;
                product[at] = finish(at, column, acc[i][j]);
            }
        }
    }
}
// ANCHOR_END: main
