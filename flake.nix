# SPDX-License-Identifier: MIT
#
# nix build, nix run . -- ./plugins, nix develop. There is no flake.lock: nixpkgs is the one of
# your registry. t/20-flake.t evaluates this without a network.
{
  description = "Serve tensor kernels and swap in every save";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" ]; # images are read, and crashes, as x86-64 has them
      each = make: builtins.listToAttrs (map
        (system: { name = system; value = make nixpkgs.legacyPackages.${system}; })
        systems);

      version = builtins.head (builtins.concatMap
        (line:
          let found = builtins.match "VERSION := ([0-9.]+)" line; in
          if found == null then [ ] else found)
        (builtins.filter builtins.isString (builtins.split "\n" (builtins.readFile ./Makefile))));

      # Plugins are compiled while it serves: the compiler and what they link come along.
      compilers = pkgs: [ pkgs.gcc pkgs.binutils pkgs.diffutils pkgs.openblas ];

      devserve = pkgs: pkgs.stdenv.mkDerivation {
        pname = "devserve";
        inherit version;
        src = self;
        postPatch = "patchShebangs t";

        nativeBuildInputs = [ pkgs.pkg-config pkgs.makeWrapper ];
        buildInputs = [
          pkgs.elfutils
          pkgs.inotify-tools
          pkgs.libuv
          pkgs.libyaml
          pkgs.llhttp
          pkgs.simdjson
          pkgs.sqlite
          pkgs.xxHash
          pkgs.zlib
        ];
        nativeCheckInputs = [ pkgs.criterion pkgs.perl ];

        makeFlags = [ "PREFIX=$(out)" ];
        enableParallelBuilding = true;
        doCheck = true;
        checkTarget = "check";
        checkFlags = [ "T=10-unit-infer" ];
        postInstall = ''
          wrapProgram $out/bin/devserve --suffix PATH : ${pkgs.lib.makeBinPath (compilers pkgs)}
        '';

        meta = {
          description = "Serve tensor kernels and swap in every save";
          license = [ pkgs.lib.licenses.mit pkgs.lib.licenses.gpl2Only ];
          platforms = systems;
          mainProgram = "devserve";
        };
      };
    in
    {
      packages = each (pkgs: { default = devserve pkgs; });

      devShells = each (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ (devserve pkgs) ];
          packages = compilers pkgs ++ [
            pkgs.clang
            pkgs.curl
            pkgs.gdb
            pkgs.git
            pkgs.python3
          ];
        };
      });

      checks = each (pkgs: { default = devserve pkgs; });

      formatter = each (pkgs: pkgs.nixpkgs-fmt);
    };
}
