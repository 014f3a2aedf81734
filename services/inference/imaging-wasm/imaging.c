/* What the page needs of Pillow's decoders: JPEG, WebP and ICC profiles, by the same libraries.

   Each call works on memory that the caller allocated with `take`, and answers by one too. A decoder that meets damage beyond
   repair ends in a trap: the caller then starts a fresh instance, so nothing has to be cleaned up on the way. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jpeglib.h"
#include "lcms2.h"
#include "webp/demux.h"

#define EXPORT(name) __attribute__((export_name(#name)))

EXPORT(take) void *take(size_t bytes) { return malloc(bytes); }
EXPORT(release) void release(void *memory) { free(memory); }

/* ---- JPEG, as Pillow's JpegDecode.c drives libjpeg-turbo ---- */

static void give_up(j_common_ptr codec) { (void)codec; __builtin_trap(); }
static void say_nothing(j_common_ptr codec) { (void)codec; }
static void nothing(j_decompress_ptr codec) { (void)codec; }
static boolean suspend(j_decompress_ptr codec) { (void)codec; return FALSE; }

static void skip(j_decompress_ptr codec, long bytes) {
  struct jpeg_source_mgr *source = codec->src;
  size_t step = (size_t)bytes < source->bytes_in_buffer ? (size_t)bytes : source->bytes_in_buffer;
  if (bytes <= 0) return;
  source->next_input_byte += step;
  source->bytes_in_buffer -= step;
}

typedef struct { uint32_t width, height, channels; uint8_t pixels[]; } Image;

/* Decode at 1/denominator of the size. NULL: damaged or cut off. */
EXPORT(decode_jpeg) Image *decode_jpeg(const uint8_t *data, size_t bytes, int denominator) {
  struct jpeg_decompress_struct codec;
  struct jpeg_error_mgr errors;
  struct jpeg_source_mgr source = {data, bytes, nothing, suspend, skip, jpeg_resync_to_restart, nothing};
  codec.err = jpeg_std_error(&errors);
  errors.error_exit = give_up;
  errors.output_message = say_nothing;
  jpeg_create_decompress(&codec);
  codec.src = &source;
  if (jpeg_read_header(&codec, TRUE) != JPEG_HEADER_OK || codec.data_precision != 8) return NULL;
  if (codec.num_components == 1) codec.out_color_space = JCS_GRAYSCALE;
  else if (codec.num_components == 3) codec.out_color_space = JCS_RGB;
  else if (codec.num_components == 4) codec.out_color_space = JCS_CMYK;
  else return NULL;
  codec.scale_num = 1;
  codec.scale_denom = (unsigned)denominator;
  if (!jpeg_start_decompress(&codec)) return NULL;
  size_t row = (size_t)codec.output_width * codec.output_components;
  Image *image = malloc(sizeof(Image) + row * codec.output_height);
  if (!image) return NULL;
  image->width = codec.output_width;
  image->height = codec.output_height;
  image->channels = codec.output_components;
  while (codec.output_scanline < codec.output_height) {
    uint8_t *line = image->pixels + row * codec.output_scanline;
    if (jpeg_read_scanlines(&codec, &line, 1) != 1) return NULL;
  }
  /* Pillow takes an image whose rows are all there, whether or not its end is marked. */
  jpeg_finish_decompress(&codec);
  jpeg_destroy_decompress(&codec);
  return image;
}

/* ---- WebP, by the animation decoder, as Pillow reads it ---- */

EXPORT(decode_webp) Image *decode_webp(const uint8_t *data, size_t bytes) {
  WebPData file = {data, bytes};
  WebPAnimDecoderOptions options;
  WebPAnimInfo info;
  uint8_t *frame;
  int timestamp;
  WebPAnimDecoderOptionsInit(&options);
  WebPAnimDecoder *decoder = WebPAnimDecoderNew(&file, &options);
  if (!decoder || !WebPAnimDecoderGetInfo(decoder, &info) || info.frame_count != 1) return NULL;
  if (!WebPAnimDecoderGetNext(decoder, &frame, &timestamp)) return NULL;
  const WebPDemuxer *chunks = WebPAnimDecoderGetDemuxer(decoder);
  int alpha = (WebPDemuxGetI(chunks, WEBP_FF_FORMAT_FLAGS) & 0x10) != 0;
  size_t pixels = (size_t)info.canvas_width * info.canvas_height;
  Image *image = malloc(sizeof(Image) + pixels * 4);
  if (!image) return NULL;
  image->width = info.canvas_width;
  image->height = info.canvas_height;
  image->channels = alpha ? 4 : 3;
  /* In place of four bytes three, where the fourth says nothing. */
  for (size_t at = 0; at < pixels; at += 1) memcpy(image->pixels + at * image->channels, frame + at * 4, image->channels);
  WebPAnimDecoderDelete(decoder);
  return image;
}

/* Where the ICC profile of a WebP stands and how long it is: 0 if it has none. */
EXPORT(webp_profile) size_t webp_profile(const uint8_t *data, size_t bytes, uint8_t **profile) {
  WebPData file = {data, bytes};
  WebPChunkIterator found;
  WebPDemuxer *chunks = WebPDemux(&file);
  size_t length = 0;
  if (chunks && WebPDemuxGetChunk(chunks, "ICCP", 1, &found)) {
    length = found.chunk.size;
    *profile = malloc(length);
    if (*profile) memcpy(*profile, found.chunk.bytes, length);
    WebPDemuxReleaseChunkIterator(&found);
  }
  if (chunks) WebPDemuxDelete(chunks);
  return length;
}

/* ---- ICC profiles, by littleCMS, with Pillow's formats and intent ---- */

/* Convert pixels of 1, 3 (as 4) or 4 channels to sRGB. 0: the profile is damaged, or for other channels. */
EXPORT(to_srgb) int to_srgb(const uint8_t *profile, size_t bytes, const uint8_t *pixels, uint8_t *converted, size_t count, int cmyk,
                            int grey) {
  cmsHPROFILE source = cmsOpenProfileFromMem(profile, (cmsUInt32Number)bytes);
  if (!source) return 0;
  cmsUInt32Number format = grey ? TYPE_GRAY_8 : cmyk ? TYPE_CMYK_8 : TYPE_RGBA_8;
  cmsHPROFILE srgb = cmsCreate_sRGBProfile();
  cmsHTRANSFORM transform = cmsCreateTransform(source, format, srgb, TYPE_RGBA_8, INTENT_PERCEPTUAL, 0);
  if (transform) cmsDoTransform(transform, pixels, converted, (cmsUInt32Number)count);
  if (transform) cmsDeleteTransform(transform);
  cmsCloseProfile(srgb);
  cmsCloseProfile(source);
  return transform != NULL;
}
