# SPDX-License-Identifier: MIT
#
# What flake.nix uses of nixpkgs, in miniature: the same names (nixpkgs 24.05 and later have
# them), derivations that build nothing. All inputs are folded in, or a missing one would never
# be asked for, and no one would notice.
{
  outputs = { self }:
    let
      names = [
        "binutils"
        "clang"
        "criterion"
        "curl"
        "diffutils"
        "elfutils"
        "gcc"
        "gdb"
        "git"
        "inotify-tools"
        "libuv"
        "libyaml"
        "llhttp"
        "makeWrapper"
        "nixpkgs-fmt"
        "openblas"
        "perl"
        "pkg-config"
        "python3"
        "simdjson"
        "sqlite"
        "xxHash"
        "zlib"
      ];

      packages = system:
        let
          derive = name: attributes: derivation (attributes // {
            inherit name system;
            builder = "/bin/sh";
          });
          fold = inputs: map (input: "${input}") inputs;
        in
        builtins.listToAttrs (map (name: { inherit name; value = derive name { }; }) names) // {
          stdenv.mkDerivation =
            { pname
            , version
            , src
            , postPatch
            , nativeBuildInputs
            , buildInputs
            , nativeCheckInputs
            , makeFlags
            , enableParallelBuilding
            , doCheck
            , checkTarget
            , checkFlags
            , postInstall
            , meta
            }: derive "${pname}-${version}"
              {
                inherit src postPatch makeFlags checkTarget checkFlags postInstall;
                deps = fold (nativeBuildInputs ++ buildInputs ++ nativeCheckInputs);
                about = [ meta.description meta.mainProgram ] ++ map (l: l.spdxId) meta.license ++ meta.platforms;
              } // { inherit meta; };
          mkShell = { inputsFrom, packages }: derive "nix-shell" { deps = fold (inputsFrom ++ packages); };
          lib = {
            makeBinPath = inputs: builtins.concatStringsSep ":" (map (input: "${input}/bin") inputs);
            licenses.mit.spdxId = "MIT";
            licenses.gpl2Only.spdxId = "GPL-2.0-only";
          };
        };
    in
    {
      legacyPackages.x86_64-linux = packages "x86_64-linux";
    };
}
