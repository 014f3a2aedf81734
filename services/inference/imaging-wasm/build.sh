#!/bin/sh
# Build imaging.wasm from the libraries' own sources, as they stand in their releases:
#
#   ./build.sh SOURCES [OUTPUT]
#
# SOURCES holds the folders libjpeg-turbo (3.2.0), libwebp (1.6.0) and Little-CMS (2.19), the versions that the pinned Pillow has.
# It needs Zig 0.13.0 (PyPI: ziglang==0.13.0), named in ZIG if it is not on the PATH. Then compress with Brotli at its highest level,
# and put the size and SHA-256 of what is unpacked into web/offline.py.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
sources=${1:?the folder with libjpeg-turbo, libwebp and Little-CMS}
output=${2:-imaging.wasm}
jpeg=$sources/libjpeg-turbo/src
webp=$sources/libwebp/src
cms=$sources/Little-CMS

files="$here/imaging.c"
for name in jaricom jcomapi jdapimin jdarith jdatasrc jdhuff jdicc jdinput jdlhuff jdmarker jdmaster jdphuff jerror jmemmgr \
  jmemnobs jpeg_nbits; do
  files="$files $jpeg/$name.c"
done
for name in jdapistd jdcolor jddiffct jdlossls jdmainct jdpostct jdsample jutils; do
  files="$files $jpeg/wrapper/$name-8.c $jpeg/wrapper/$name-12.c $jpeg/wrapper/$name-16.c"
done
for name in jdcoefct jddctmgr jdmerge jidctflt jidctfst jidctint jidctred jquant1 jquant2; do
  files="$files $jpeg/wrapper/$name-8.c $jpeg/wrapper/$name-12.c"
done
for name in dec/alpha_dec dec/buffer_dec dec/frame_dec dec/idec_dec dec/io_dec dec/quant_dec dec/tree_dec dec/vp8_dec dec/vp8l_dec \
  dec/webp_dec demux/demux demux/anim_decode dsp/alpha_processing dsp/cpu dsp/dec dsp/dec_clip_tables dsp/filters dsp/lossless \
  dsp/rescaler dsp/upsampling dsp/yuv utils/bit_reader_utils utils/color_cache_utils utils/filters_utils utils/huffman_utils \
  utils/palette utils/quant_levels_dec_utils utils/random_utils utils/rescaler_utils utils/thread_utils utils/utils; do
  files="$files $webp/$name.c"
done

# shellcheck disable=SC2086
${ZIG:-zig} cc -target wasm32-wasi -O3 -flto -mexec-model=reactor -s -w -DNDEBUG -DCMS_NO_PTHREADS -DCMS_DONT_USE_SSE2 \
  -ffunction-sections -fdata-sections -Wl,--gc-sections \
  -I"$here" -I"$jpeg" -I"$sources/libwebp" -I"$webp" -I"$cms/include" -I"$cms/src" \
  $files "$cms"/src/*.c -o "$output"
