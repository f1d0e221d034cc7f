import { defineConfig } from 'vite'

// The server hands the built files out under /playground; hashed names may be cached for ever.
export default defineConfig({
  base: '/playground/',
  build: {
    target: 'es2022',
    chunkSizeWarningLimit: 4000, // Monaco
    rolldownOptions: {
      onwarn(warning, warn) {
        if (warning.code !== 'MODULE_LEVEL_DIRECTIVE') warn(warning) // "use client" means nothing here
      },
    },
  },
  worker: { format: 'es' },
})
