/** @type {import('next').NextConfig} */
export default {
  // Its native part stays outside of the bundle.
  serverExternalPackages: ['kazawallet'],
};
