/**
 * Upscales images by exported TFLite files. {@link org.ailsr.core.ModelFile} reads what a file says
 * of itself, {@link org.ailsr.core.Session} opens it and knows whether it is computed rightly here,
 * {@link org.ailsr.core.Upscaler} upscales bitmaps and images of any size, tile by tile.
 *
 * <p>An app calls {@link org.ailsr.core.Upscaler#upscale(java.nio.ByteBuffer, Size, java.nio.ByteBuffer,
 * Progress)} with the bytes of its bitmaps, on a thread of its own: a session belongs to the thread
 * that opened it. {@link org.ailsr.core.VideoUpscaler} upscales the frames of videos. Other public
 * classes of this package belong to the demo app and may change.
 */
package org.ailsr.core;
